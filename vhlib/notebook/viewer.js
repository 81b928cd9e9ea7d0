// BodyViewer: an SMPL-format body that is evaluated and drawn in the page.
//
// One plain ES module. Jupyter loads it through anywidget (the default export); a page without a
// kernel calls mount(). Four layers, each knowing only those above it:
//
//   Body, PosedBody   the model's arrays; betas and pose -> joints, vertices, normals
//   Painter           one WebGL2 context for the whole page, copied into a 2D canvas per viewer
//   View              a camera, the pointer, keys, what is drawn over the body
//   Panel             sliders that write to the model as Python does
//
// Rotations are axis-angle vectors here, as on the wire; lengths are metres, y is up.

// ---------------------------------------------------------------- the body at rest

const ARRAYS = {
  f4: Float32Array, i4: Int32Array, i2: Int16Array, i1: Int8Array,
  u4: Uint32Array, u2: Uint16Array, u1: Uint8Array,
};

export class Body {
  // header: {arrays: {name: [type, offset, length, scale]}, joints: [names]}; data: ArrayBuffer or view
  constructor(header, data) {
    const buffer = data.buffer ?? data, start = data.byteOffset ?? 0;
    for (const [name, [type, offset, length, scale]] of Object.entries(header.arrays)) {
      const Kind = ARRAYS[type], from = start + offset;
      // A copy: messages from a kernel needn't be aligned.
      const stored = new Kind(buffer.slice(from, from + length * Kind.BYTES_PER_ELEMENT));
      this[name] = scale ? scaled(stored, scale) : stored;
    }
    this.names = header.joints;
    this.vertexCount = this.template.length / 3;
    this.jointCount = this.parents.length;
    this.betaCount = this.shapedirs.length / this.template.length;
    if (this.faces.BYTES_PER_ELEMENT === 1) this.faces = Uint16Array.from(this.faces);
    this.edges = uniqueEdges(this.faces, this.vertexCount);
  }

  weightsOf(joint) { // of every vertex
    const weights = new Float32Array(this.vertexCount);
    for (let v = 0; v < this.vertexCount; v++)
      for (let k = this.weightStart[v]; k < this.weightStart[v + 1]; k++)
        if (this.weightJoint[k] === joint) weights[v] = this.weightValue[k];
    return weights;
  }
}

function scaled(whole, scale) {
  const values = new Float32Array(whole.length);
  for (let i = 0; i < whole.length; i++) values[i] = whole[i] * scale;
  return values;
}

function uniqueEdges(faces, vertexCount) {
  const seen = new Set(), edges = [];
  for (let i = 0; i < faces.length; i++) {
    const a = faces[i], b = faces[i % 3 === 2 ? i - 2 : i + 1];
    const key = Math.min(a, b) * vertexCount + Math.max(a, b);
    if (seen.has(key)) continue;
    seen.add(key);
    edges.push(a, b);
  }
  return new faces.constructor(edges);
}

// ---------------------------------------------------------------- the body in a pose

export class PosedBody {
  constructor(body) {
    this.body = body;
    for (const name of ["shaped", "corrected", "vertices", "normals"])
      this[name] = new Float32Array(3 * body.vertexCount);
    this.jointsAtRest = new Float64Array(3 * body.jointCount);
    this.joints = new Float64Array(3 * body.jointCount);
    this.rotations = new Float64Array(9 * body.jointCount);
    this.world = new Float64Array(12 * body.jointCount); // [R | p] of each joint, row by row
    this.transforms = new Float64Array(12 * body.jointCount); // what each bone does to a point at rest
    this.betasUsed = null;
  }

  evaluate({ betas, body_pose, global_orient, transl, correctives = true }) {
    const key = betas.join();
    if (key !== this.betasUsed) this.shape(betas);
    this.betasUsed = key;
    this.turn(global_orient, body_pose);
    const rest = correctives ? this.correct() : this.shaped;
    this.chain(transl);
    this.skin(rest);
    this.light();
    return this;
  }

  shape(betas) { // template + sum of beta directions, for vertices and joints alike
    const { template, shapedirs, jointTemplate, jointShapedirs } = this.body;
    addDirections(this.shaped, template, shapedirs, betas);
    addDirections(this.jointsAtRest, jointTemplate, jointShapedirs, betas);
    this.lowest = Infinity; // the soles of the body at rest
    for (let i = 1; i < this.shaped.length; i += 3) this.lowest = Math.min(this.lowest, this.shaped[i]);
  }

  turn(root, pose) {
    for (let joint = 0; joint < this.body.jointCount; joint++) {
      const [vector, at] = joint ? [pose, 3 * joint - 3] : [root, 0];
      writeRotation(this.rotations, 9 * joint, vector[at], vector[at + 1], vector[at + 2]);
    }
  }

  correct() { // a block of 3 x 9 times R - I for each (joint, vertex) that has one
    const { poseStart, poseVertex, poseBlock, jointCount } = this.body;
    const { corrected, rotations } = this, feature = new Float64Array(9);
    corrected.set(this.shaped);
    for (let joint = 1; joint < jointCount; joint++) {
      let bent = 0;
      for (let i = 0; i < 9; i++) {
        feature[i] = rotations[9 * joint + i] - (i % 4 ? 0 : 1);
        bent += Math.abs(feature[i]);
      }
      if (bent < STRAIGHT) continue;
      for (let k = poseStart[joint - 1]; k < poseStart[joint]; k++) {
        let entry = 27 * k;
        for (let axis = 0; axis < 3; axis++) {
          let sum = 0;
          for (let i = 0; i < 9; i++) sum += poseBlock[entry++] * feature[i];
          corrected[3 * poseVertex[k] + axis] += sum;
        }
      }
    }
    return corrected;
  }

  chain(transl) { // each joint turns and moves with its parent
    const { parents, jointCount } = this.body, { rotations, world, jointsAtRest } = this;
    for (let joint = 0; joint < jointCount; joint++) {
      const parent = parents[joint], own = 9 * joint;
      for (let row = 0; row < 3; row++) {
        const to = 12 * joint + 4 * row;
        if (parent < 0) {
          for (let c = 0; c < 3; c++) world[to + c] = rotations[own + 3 * row + c];
          world[to + 3] = jointsAtRest[3 * joint + row] + transl[row];
          continue;
        }
        const up = 12 * parent + 4 * row;
        let place = world[up + 3];
        for (let c = 0; c < 3; c++) {
          let turned = 0;
          for (let i = 0; i < 3; i++) turned += world[up + i] * rotations[own + 3 * i + c];
          world[to + c] = turned;
          place += world[up + c] * (jointsAtRest[3 * joint + c] - jointsAtRest[3 * parent + c]);
        }
        world[to + 3] = place;
      }
    }
    this.finishTransforms();
  }

  finishTransforms() { // about the joint, not about the origin
    const { world, transforms, jointsAtRest, joints } = this;
    for (let joint = 0; joint < this.body.jointCount; joint++)
      for (let row = 0; row < 3; row++) {
        const at = 12 * joint + 4 * row;
        let shift = world[at + 3];
        for (let c = 0; c < 3; c++) {
          transforms[at + c] = world[at + c];
          shift -= world[at + c] * jointsAtRest[3 * joint + c];
        }
        transforms[at + 3] = shift;
        joints[3 * joint + row] = world[at + 3];
      }
  }

  skin(rest) { // each vertex by the weighted mean of its bones' transforms
    const { weightStart, weightJoint, weightValue, vertexCount } = this.body;
    const { transforms: A, vertices } = this;
    for (let v = 0; v < vertexCount; v++) {
      const x = rest[3 * v], y = rest[3 * v + 1], z = rest[3 * v + 2];
      let X = 0, Y = 0, Z = 0;
      for (let k = weightStart[v]; k < weightStart[v + 1]; k++) {
        const w = weightValue[k], o = 12 * weightJoint[k];
        X += w * (A[o] * x + A[o + 1] * y + A[o + 2] * z + A[o + 3]);
        Y += w * (A[o + 4] * x + A[o + 5] * y + A[o + 6] * z + A[o + 7]);
        Z += w * (A[o + 8] * x + A[o + 9] * y + A[o + 10] * z + A[o + 11]);
      }
      vertices[3 * v] = X;
      vertices[3 * v + 1] = Y;
      vertices[3 * v + 2] = Z;
    }
  }

  light() { // normals of the surface as it is now: skinned normals would be wrong at joints
    const { faces } = this.body, { vertices: V, normals: N } = this;
    N.fill(0);
    for (let i = 0; i < faces.length; i += 3) {
      const a = 3 * faces[i], b = 3 * faces[i + 1], c = 3 * faces[i + 2];
      const ux = V[b] - V[a], uy = V[b + 1] - V[a + 1], uz = V[b + 2] - V[a + 2];
      const vx = V[c] - V[a], vy = V[c + 1] - V[a + 1], vz = V[c + 2] - V[a + 2];
      const x = uy * vz - uz * vy, y = uz * vx - ux * vz, z = ux * vy - uy * vx;
      N[a] += x; N[a + 1] += y; N[a + 2] += z;
      N[b] += x; N[b + 1] += y; N[b + 2] += z;
      N[c] += x; N[c + 1] += y; N[c + 2] += z;
    }
    for (let i = 0; i < N.length; i += 3) {
      const length = Math.hypot(N[i], N[i + 1], N[i + 2]) || 1;
      N[i] /= length; N[i + 1] /= length; N[i + 2] /= length;
    }
  }
}

const STRAIGHT = 1e-12; // below this a joint isn't bent and costs nothing

function addDirections(out, base, directions, betas) {
  out.set(base);
  betas.forEach((beta, k) => {
    if (!beta) return;
    const from = k * base.length;
    for (let i = 0; i < base.length; i++) out[i] += beta * directions[from + i];
  });
}

function writeRotation(out, at, x, y, z) { // Rodrigues' formula; both factors are smooth at zero
  const angle = Math.hypot(x, y, z), half = angle / 2;
  const s = angle < 1e-8 ? 1 : Math.sin(angle) / angle;
  const h = angle < 1e-8 ? 0.5 : Math.sin(half) / angle;
  const c = 2 * h * h, w = 1 - c * angle * angle;
  out[at] = w + c * x * x; out[at + 1] = c * x * y - s * z; out[at + 2] = c * x * z + s * y;
  out[at + 3] = c * x * y + s * z; out[at + 4] = w + c * y * y; out[at + 5] = c * y * z - s * x;
  out[at + 6] = c * x * z - s * y; out[at + 7] = c * y * z + s * x; out[at + 8] = w + c * z * z;
}

// ---------------------------------------------------------------- drawing

const VERTEX_SHADER = `#version 300 es
uniform mat4 uView, uProjection;
uniform float uPull; // lines are pulled a little towards the eye, in front of their triangles
uniform vec3 uOffset;
in vec3 aPosition, aNormal;
in float aValue;
centroid out vec3 vNormal, vPosition; // centroid: no dark pixels along the outline
out float vValue;
void main() {
  vec4 seen = uView * vec4(aPosition + uOffset, 1.0);
  seen.xyz *= uPull;
  vPosition = seen.xyz;
  vNormal = mat3(uView) * aNormal;
  vValue = aValue;
  gl_Position = uProjection * seen;
}`;

const FRAGMENT_SHADER = `#version 300 es
precision highp float;
centroid in vec3 vNormal, vPosition;
in float vValue;
uniform int uMode; // 0 skin, 1 coloured by value, 2 one flat colour
uniform vec4 uColor;
out vec4 color;
const vec3 VIRIDIS[5] = vec3[5](vec3(.267, .005, .329), vec3(.229, .322, .546),
  vec3(.128, .567, .551), vec3(.369, .789, .383), vec3(.993, .906, .144));
void main() {
  if (uMode == 2) { color = vec4(uColor.rgb * uColor.a, uColor.a); return; }
  vec3 base = uColor.rgb;
  if (uMode == 1 && vValue >= 0.0) {
    float t = clamp(vValue, 0.0, 1.0) * 4.0;
    int i = min(int(t), 3);
    base = mix(VIRIDIS[i], VIRIDIS[i + 1], t - float(i));
  }
  base = pow(base, vec3(2.2));
  vec3 n = normalize(vNormal), eye = normalize(-vPosition);
  if (!gl_FrontFacing) n = -n;
  vec3 key = normalize(vec3(-.45, .6, .65)), fill = normalize(vec3(.8, .1, .4));
  float diffuse = max(dot(n, key), 0.), side = max(dot(n, fill), 0.);
  float rim = pow(1. - max(dot(n, eye), 0.), 3.), shine = pow(max(dot(n, normalize(key + eye)), 0.), 28.);
  vec3 sky = mix(vec3(.13, .11, .10), vec3(.26, .29, .34), n.y * .5 + .5);
  vec3 lit = base * (sky + diffuse * vec3(.78, .74, .68) + side * vec3(.14, .16, .20)) + rim * .07 + shine * .06;
  color = vec4(pow(lit, vec3(1. / 2.2)) * uColor.a, uColor.a);
}`;

const MODE = { skin: 0, value: 1, flat: 2 };
const SKIN = [0.42, 0.55, 0.72, 1], SECOND_SKIN = [0.9, 0.55, 0.25], LINES = [0.05, 0.08, 0.15, 0.28];
const SEE_THROUGH = 0.5; // of the second body
const GRID = [0.5, 0.5, 0.5, 0.35], GRID_HALF = 1.5, GRID_STEP = 0.25;
const PULL = 0.997;
const SAMPLES = 4, CALM = 150; // milliseconds after the last move until edges are smoothed
const SHARED = Symbol.for("vhlib.viewer.painter.1"); // anywidget evaluates this module for every widget

// What is open on the page: for tests, and for whoever looks for a leak.
export function counts() {
  const painter = globalThis[SHARED];
  return { contexts: painter ? 1 : 0, viewers: painter?.users.size ?? 0, meshes: painter?.meshes ?? 0 };
}

class Painter {
  // One context for all viewers: browsers allow about sixteen and silently drop the oldest.
  static for(user) {
    globalThis[SHARED] ??= Painter.make();
    globalThis[SHARED]?.users.add(user);
    return globalThis[SHARED];
  }

  static make() {
    const canvas = document.createElement("canvas");
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: true });
    return gl ? new Painter(canvas, gl) : null;
  }

  constructor(canvas, gl) {
    Object.assign(this, { canvas, gl, users: new Set(), meshes: 0, lost: false, age: 0, slow: isSoftware(gl) });
    this.build();
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault(); // or it is never restored
      this.lost = true;
      this.users.forEach((user) => user.refresh());
    });
    canvas.addEventListener("webglcontextrestored", () => {
      this.lost = false;
      this.build();
      this.users.forEach((user) => user.restored());
    });
  }

  build() {
    const { gl } = this, program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX_SHADER], [gl.FRAGMENT_SHADER, FRAGMENT_SHADER]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost())
        throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    ["aPosition", "aNormal", "aValue"].forEach((name, place) => gl.bindAttribLocation(program, place, name));
    gl.linkProgram(program);
    this.program = program;
    this.uniforms = {};
    for (const name of ["uView", "uProjection", "uPull", "uOffset", "uMode", "uColor"])
      this.uniforms[name] = gl.getUniformLocation(program, name);
    this.age += 1; // buffers of an older age are gone
    this.smoothSize = null;
  }

  release(user) { // the last one gives the context back at once instead of waiting for the collector
    if (!this.users.delete(user) || this.users.size) return;
    delete globalThis[SHARED];
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  begin(width, height, view, projection, smooth) {
    const { gl, canvas, uniforms } = this;
    if (canvas.width < width) canvas.width = width; // it only grows
    if (canvas.height < height) canvas.height = height;
    if (smooth) this.resizeSmooth();
    gl.bindFramebuffer(gl.FRAMEBUFFER, smooth ? this.smooth : null);
    gl.viewport(0, 0, width, height);
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.useProgram(this.program);
    gl.uniformMatrix4fv(uniforms.uView, false, view);
    gl.uniformMatrix4fv(uniforms.uProjection, false, projection);
  }

  set(mode, color, { pull = 1, offset = [0, 0, 0] } = {}) {
    const { gl, uniforms } = this;
    gl.uniform1i(uniforms.uMode, mode);
    gl.uniform4fv(uniforms.uColor, color);
    gl.uniform1f(uniforms.uPull, pull);
    gl.uniform3fv(uniforms.uOffset, offset);
  }

  resizeSmooth() { // several samples for each pixel, in a place of our own: moving pictures go without
    const { gl, canvas } = this, size = `${canvas.width} ${canvas.height}`;
    if (this.smoothSize === size) return;
    if (this.smoothSize) this.smoothParts.forEach((part) => gl.deleteRenderbuffer(part));
    else this.smooth = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.smooth);
    const samples = Math.min(SAMPLES, gl.getParameter(gl.MAX_SAMPLES));
    this.smoothParts = [[gl.RGBA8, gl.COLOR_ATTACHMENT0], [gl.DEPTH_COMPONENT24, gl.DEPTH_ATTACHMENT]].map(([format, place]) => {
      const part = gl.createRenderbuffer();
      gl.bindRenderbuffer(gl.RENDERBUFFER, part);
      gl.renderbufferStorageMultisample(gl.RENDERBUFFER, samples, format, canvas.width, canvas.height);
      gl.framebufferRenderbuffer(gl.FRAMEBUFFER, place, gl.RENDERBUFFER, part);
      return part;
    });
    this.smoothSize = size;
  }

  finish(width, height, smooth) {
    if (!smooth) return;
    const { gl } = this;
    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, this.smooth);
    gl.bindFramebuffer(gl.DRAW_FRAMEBUFFER, null);
    gl.blitFramebuffer(0, 0, width, height, 0, 0, width, height, gl.COLOR_BUFFER_BIT, gl.NEAREST);
  }

  copyTo(context, width, height) { // in the task that drew: later the picture may be gone
    context.drawImage(this.canvas, 0, this.canvas.height - height, width, height, 0, 0, width, height);
  }
}

function isSoftware(gl) { // no graphics card: smooth edges would double the time of a drawing
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  const name = gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
  return /swiftshader|llvmpipe|software|basic render/i.test(name);
}

class Mesh { // one posed body on the graphics card
  constructor(painter, body) {
    const { gl } = painter;
    Object.assign(this, { painter, body, age: painter.age, buffers: [], arrays: [] });
    this.surface = this.array();
    [this.position, this.normal, this.value] = [3, 3, 1].map((size, place) => {
      const buffer = this.buffer(gl.ARRAY_BUFFER, 4 * size * body.vertexCount, gl.DYNAMIC_DRAW);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, size, gl.FLOAT, false, 0, 0);
      return buffer;
    });
    this.indexType = body.faces.BYTES_PER_ELEMENT === 2 ? gl.UNSIGNED_SHORT : gl.UNSIGNED_INT;
    this.edges = this.buffer(gl.ELEMENT_ARRAY_BUFFER, body.edges, gl.STATIC_DRAW);
    this.faces = this.buffer(gl.ELEMENT_ARRAY_BUFFER, body.faces, gl.STATIC_DRAW);
    this.floor = this.array();
    const lines = gridLines();
    this.floorPoints = lines.length / 3;
    this.buffer(gl.ARRAY_BUFFER, lines, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 0, 0);
    gl.bindVertexArray(null);
    painter.meshes += 1;
  }

  array() {
    const array = this.painter.gl.createVertexArray();
    this.painter.gl.bindVertexArray(array);
    this.arrays.push(array);
    return array;
  }

  buffer(target, content, usage) {
    const { gl } = this.painter, buffer = gl.createBuffer();
    gl.bindBuffer(target, buffer);
    gl.bufferData(target, content, usage);
    this.buffers.push(buffer);
    return buffer;
  }

  upload(buffer, values) {
    const { gl } = this.painter;
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, values);
  }

  pose({ vertices, normals }) {
    this.upload(this.position, vertices);
    this.upload(this.normal, normals);
  }

  drawFloor(height) {
    const { gl } = this.painter;
    gl.bindVertexArray(this.floor);
    this.painter.set(MODE.flat, GRID, { offset: [0, height, 0] });
    gl.drawArrays(gl.LINES, 0, this.floorPoints);
    gl.bindVertexArray(null);
  }

  draw(mode, color, wireframe) {
    const { gl } = this.painter;
    gl.bindVertexArray(this.surface);
    this.painter.set(mode, color);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.faces);
    if (color[3] < 1) { // see-through: only its nearest surface
      gl.colorMask(false, false, false, false);
      gl.drawElements(gl.TRIANGLES, this.body.faces.length, this.indexType, 0);
      gl.colorMask(true, true, true, true);
      gl.depthFunc(gl.LEQUAL);
    }
    gl.drawElements(gl.TRIANGLES, this.body.faces.length, this.indexType, 0);
    gl.depthFunc(gl.LESS);
    if (wireframe) {
      this.painter.set(MODE.flat, LINES, { pull: PULL });
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.edges);
      gl.drawElements(gl.LINES, this.body.edges.length, this.indexType, 0);
    }
    gl.bindVertexArray(null);
  }

  free() {
    const { painter } = this;
    if (painter.age === this.age) {
      this.buffers.forEach((buffer) => painter.gl.deleteBuffer(buffer));
      this.arrays.forEach((array) => painter.gl.deleteVertexArray(array));
    }
    painter.meshes -= 1;
  }
}

function gridLines() {
  const lines = [];
  for (let at = -GRID_HALF; at <= GRID_HALF; at += GRID_STEP)
    lines.push(at, 0, -GRID_HALF, at, 0, GRID_HALF, -GRID_HALF, 0, at, GRID_HALF, 0, at);
  return new Float32Array(lines);
}

// ---------------------------------------------------------------- the camera

const HOME = { yaw: 0.45, pitch: 0.08 }, STEEPEST = 1.5;
const NEAR = 0.05, FAR = 50, HALF_VIEW = 0.26; // radians
const NEAREST = 0.4, FARTHEST = 15; // metres

class Orbit { // turns about a target
  constructor() {
    Object.assign(this, HOME, { distance: 3.6, target: [0, 0, 0] });
  }

  frame(...bodies) { // all vertices, from the front and a little from the left
    const low = [Infinity, Infinity, Infinity], high = low.map((value) => -value);
    for (const vertices of bodies)
      for (let i = 0; i < vertices.length; i++) {
        low[i % 3] = Math.min(low[i % 3], vertices[i]);
        high[i % 3] = Math.max(high[i % 3], vertices[i]);
      }
    this.target = low.map((value, axis) => (value + high[axis]) / 2);
    this.distance = 2.15 * Math.max(...high.map((value, axis) => value - low[axis])) + 0.3;
    Object.assign(this, HOME);
  }

  turn(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = Math.max(-STEEPEST, Math.min(STEEPEST, this.pitch + pitch));
  }

  zoom(factor) {
    this.distance = Math.max(NEAREST, Math.min(FARTHEST, this.distance * factor));
  }

  pan(right, up) { // metres in the picture's plane at the target
    const [x, y] = this.axes();
    this.target = this.target.map((value, axis) => value + right * x[axis] + up * y[axis]);
  }

  axes() { // right, up and towards the eye, in the world
    const cy = Math.cos(this.yaw), sy = Math.sin(this.yaw);
    const cp = Math.cos(this.pitch), sp = Math.sin(this.pitch);
    return [[cy, 0, -sy], [-sp * sy, cp, -sp * cy], [cp * sy, sp, cp * cy]];
  }

  matrices(aspect) { // for WebGL: column by column
    const [x, y, z] = this.axes(), { target } = this;
    const along = (axis) => -(axis[0] * target[0] + axis[1] * target[1] + axis[2] * target[2]);
    const view = new Float32Array([
      x[0], y[0], z[0], 0, x[1], y[1], z[1], 0, x[2], y[2], z[2], 0,
      along(x), along(y), along(z) - this.distance, 1,
    ]);
    const focal = Math.min(1, aspect) / Math.tan(HALF_VIEW); // a narrow window sees as much across
    const projection = new Float32Array(16);
    projection.set([focal / aspect], 0);
    projection.set([focal], 5);
    projection.set([(FAR + NEAR) / (NEAR - FAR), -1], 10);
    projection.set([(2 * FAR * NEAR) / (NEAR - FAR)], 14);
    return [view, projection];
  }
}

// ---------------------------------------------------------------- rotations of single joints

function product(A, B) { // 3 x 3, row by row
  const C = new Array(9).fill(0);
  for (let row = 0; row < 3; row++)
    for (let column = 0; column < 3; column++)
      for (let i = 0; i < 3; i++) C[3 * row + column] += A[3 * row + i] * B[3 * i + column];
  return C;
}

const transposed = (A) => [A[0], A[3], A[6], A[1], A[4], A[7], A[2], A[5], A[8]];

function rotation(vector) {
  const R = new Array(9);
  writeRotation(R, 0, ...vector);
  return R;
}

function axisAngle(R) { // by way of a unit quaternion, whose largest entry is never small
  const trace = R[0] + R[4] + R[8];
  const squares = [1 + trace, 1 + 2 * R[0] - trace, 1 + 2 * R[4] - trace, 1 + 2 * R[8] - trace];
  const largest = squares.indexOf(Math.max(...squares)), twice = Math.sqrt(squares[largest]);
  const mixed = [
    [twice * twice, R[7] - R[5], R[2] - R[6], R[3] - R[1]],
    [R[7] - R[5], twice * twice, R[1] + R[3], R[2] + R[6]],
    [R[2] - R[6], R[1] + R[3], twice * twice, R[5] + R[7]],
    [R[3] - R[1], R[2] + R[6], R[5] + R[7], twice * twice],
  ][largest];
  let [w, x, y, z] = mixed.map((value) => value / (2 * twice));
  if (w < 0) [w, x, y, z] = [-w, -x, -y, -z];
  const sine = Math.hypot(x, y, z), factor = sine < 1e-9 ? 2 : (2 * Math.atan2(sine, w)) / sine;
  return [factor * x, factor * y, factor * z];
}

// ---------------------------------------------------------------- one viewer

const POSE = ["betas", "body_pose", "global_orient", "transl", "correctives"];
const COLORS = ["values", "value_range", "weights", "joint"];
const MARKS = ["skeleton", "frames", "wireframe"];
const ORBIT_PER_PIXEL = 0.008, JOINT_PER_PIXEL = 0.01, KEY_TURN = 0.1, KEY_PAN = 20, KEY_ZOOM = 0.9;
const WHEEL = 0.001, LINE = 16; // of zooming for each pixel; pixels of a line, which Firefox counts
const CLICK = 4; // a pointer that moved less hasn't dragged, CSS px
const REACH = { mouse: 14, pen: 14, touch: 26 }; // how far from a joint it can be caught, CSS px
const HELP = "Drag to turn, Shift-drag or two fingers to move, +/- or pinch to zoom, double-click to "
  + "start over. To bend a joint of the shown skeleton drag it (Shift: about the line of sight), or choose "
  + "it with J and hold Alt with the arrow keys.";
const NO_WEBGL = "This browser draws no WebGL 2, so here is a picture instead.";
const LOST = "The graphics card took its memory back; waiting for it.";

// What its picture is said to show, of the body itself, which runs.
function said(alt) {
  const running = alt.replace(/In a running notebook (.)/g, (_, first) => first.toUpperCase());
  return /[.!?]$/.test(running) ? running : `${running}.`;
}

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// JupyterLab takes arrow keys even from native sliders, unless the very node with the focus says no.
function keepKeys(root) {
  for (const node of root.querySelectorAll("canvas, input, select, button")) node.dataset.lmSuppressShortcuts = "true";
}

class View {
  constructor(model, parent, body) {
    Object.assign(this, { model, body, pose: new PosedBody(body), orbit: new Orbit(), fingers: new Map() });
    this.stale = { pose: true, color: true, second: true };
    this.draws = 0;
    this.build(parent);
    this.painter = Painter.for(this);
    this.listen();
    this.update();
    this.home();
  }

  build(parent) {
    this.canvas = element("canvas", { tabIndex: 0 });
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-label", `${said(this.model.get("alt") || "A body")} ${HELP}`);
    this.canvas.style.height = `${this.model.get("height")}px`;
    this.canvas.bodyViewer = this;
    this.context = this.canvas.getContext("2d");
    this.note = element("p", { className: "note", textContent: HELP, role: "status" });
    this.stage = element("div", { className: "stage" }, this.canvas);
    this.root = element("div", { className: "vhlib-viewer" }, element("div", { className: "row" }, this.stage), this.note);
    if (this.model.get("controls")) this.panel = new Panel(this);
    this.remakePlayer();
    keepKeys(this.root);
    parent.append(this.root);
  }

  remakePlayer() { // for another motion, or none
    this.player?.close();
    this.player = this.model.get("motion")?.byteLength ? new Player(this) : null;
    keepKeys(this.stage);
  }

  listen() {
    this.listeners = [];
    const on = (names, act) => {
      for (const name of names) this.listeners.push([`change:${name}`, act]);
    };
    on(POSE, () => this.invalidate("pose"));
    on(COLORS, () => this.invalidate("color"));
    on(["second"], () => this.invalidate("second"));
    on(MARKS, () => this.refresh());
    on(["motion"], () => this.remakePlayer());
    on(["frame"], () => this.player?.follow());
    this.listeners.push(["msg:custom", (message) => this.answer(message)]);
    for (const [event, act] of this.listeners) this.model.on(event, act);
    this.resizing = new ResizeObserver(() => this.refresh());
    this.resizing.observe(this.canvas);
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.grab(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.drop(event));
    canvas.addEventListener("touchstart", (event) => this.keepTouch(event), { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => this.home());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  answer(message) { // Python asks for what the page computed
    if (message.type !== "vertices") return;
    this.update();
    this.model.send({ type: "vertices", id: message.id }, undefined, [this.pose.vertices.slice().buffer]);
  }

  // ---- state

  set(values) { // the change events redraw every view of this model
    for (const [name, value] of Object.entries(values)) this.model.set(name, value);
    this.model.save_changes();
  }

  invalidate(...parts) {
    for (const part of parts) this.stale[part] = true;
    this.refresh();
  }

  restored() {
    this.say(HELP);
    this.invalidate("pose", "color", "second");
  }

  refresh() { // at most one evaluation and one drawing for each frame of the screen
    this.panel?.follow();
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  state() {
    const state = Object.fromEntries(POSE.map((name) => [name, this.model.get(name)]));
    return this.player?.playing ? { ...state, ...this.player.pose() } : state;
  }

  update() {
    if (this.stale.pose) this.pose.evaluate(this.state());
    if (this.stale.second) {
      const second = this.model.get("second");
      this.otherPose = second ? (this.otherPose ?? new PosedBody(this.body)).evaluate(second) : null;
    }
    this.stale.upload ||= this.stale.pose || this.stale.second;
    this.stale.pose = this.stale.second = false;
  }

  values() { // of every vertex from 0 to 1; below zero means the skin's own colour
    const { body, model } = this, values = model.get("values"), joint = model.get("joint");
    if (values?.byteLength) {
      const [low, high] = model.get("value_range"), at = values.byteOffset ?? 0;
      const given = new Float32Array((values.buffer ?? values).slice(at, at + values.byteLength));
      return given.map((value) => (Number.isFinite(value) ? Math.min(1, Math.max(0, (value - low) / (high - low || 1))) : -1));
    }
    return model.get("weights") && joint >= 0 ? body.weightsOf(joint) : null;
  }

  // ---- drawing

  draw(calm = false) {
    clearTimeout(this.calming);
    this.calming = null;
    const { canvas, context, painter } = this, ratio = Math.min(globalThis.devicePixelRatio || 1, 2);
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    if (!painter || painter.lost) return this.drawInstead(painter ? LOST : NO_WEBGL, width, height);
    this.update();
    [this.view, this.projection] = this.orbit.matrices(width / height);
    const smooth = calm || !painter.slow;
    this.drawBodies(width, height, smooth);
    context.clearRect(0, 0, width, height);
    painter.copyTo(context, width, height);
    this.drawMarks(ratio);
    this.draws += 1;
    if (!smooth) this.calming = setTimeout(() => this.draw(true), CALM);
  }

  drawBodies(width, height, smooth) {
    const { painter, model } = this;
    this.renew();
    painter.begin(width, height, this.view, this.projection, smooth);
    this.mesh.drawFloor(this.pose.lowest);
    this.mesh.draw(this.colored ? MODE.value : MODE.skin, SKIN, model.get("wireframe"));
    if (this.other) this.other.draw(MODE.skin, [...SECOND_SKIN, model.get("second").opacity ?? SEE_THROUGH], false);
    painter.finish(width, height, smooth);
  }

  renew() { // upload what has changed
    this.mesh = this.meshOf(this.mesh, this.pose);
    this.other = this.meshOf(this.other, this.otherPose);
    if (this.stale.color) {
      this.colored = this.values();
      if (this.colored) this.mesh.upload(this.mesh.value, this.colored);
    }
    Object.assign(this.stale, { upload: false, color: false });
  }

  meshOf(old, pose) { // the old one where its context still lives
    const { painter } = this, usable = pose && old?.age === painter.age;
    if (!usable) old?.free();
    if (!pose) return null;
    const mesh = usable ? old : new Mesh(painter, this.body);
    if (!usable && pose === this.pose) this.stale.color = true;
    if (!usable || this.stale.upload) mesh.pose(pose);
    return mesh;
  }

  drawInstead(words, width, height) { // a rendered picture and words
    this.say(words);
    const still = this.model.get("still");
    if (!still?.byteLength || this.instead) return;
    const address = URL.createObjectURL(new Blob([still])), picture = element("img", { src: address });
    this.instead = true;
    picture.addEventListener("load", () => {
      this.instead = false;
      URL.revokeObjectURL(address);
      if (this.closed || (this.painter && !this.painter.lost)) return; // drawn anew meanwhile
      const scale = Math.min(width / picture.naturalWidth, height / picture.naturalHeight);
      const [w, h] = [scale * picture.naturalWidth, scale * picture.naturalHeight];
      this.context.clearRect(0, 0, width, height);
      this.context.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
    });
  }

  say(words) {
    if (this.note.textContent !== words) this.note.textContent = words;
  }

  drawMarks(ratio) {
    this.screen = Array.from({ length: this.body.jointCount }, (_, joint) => this.place(this.pose.joints, 3 * joint));
    if (this.model.get("frames")) this.drawFrames(ratio);
    if (this.model.get("skeleton")) this.drawSkeleton(ratio);
    if (this.colored) this.drawBar(ratio);
  }

  place(points, at) { // canvas pixels and depth
    const V = this.view, P = this.projection, { width, height } = this.canvas;
    const [x, y, z] = [0, 1, 2].map((row) => V[row] * points[at] + V[4 + row] * points[at + 1] + V[8 + row] * points[at + 2] + V[12 + row]);
    return [(width / 2) * (1 - (P[0] * x) / z), (height / 2) * (1 + (P[5] * y) / z), -z];
  }

  drawSkeleton(ratio) {
    const { context: pen, screen, body } = this, chosen = this.model.get("joint");
    pen.lineCap = "round";
    for (const [width, color] of [[5, "rgba(255,255,255,.8)"], [3, "rgba(20,40,90,.85)"]]) {
      Object.assign(pen, { lineWidth: width * ratio, strokeStyle: color });
      pen.beginPath();
      body.parents.forEach((parent, joint) => {
        if (parent < 0) return;
        pen.moveTo(screen[parent][0], screen[parent][1]);
        pen.lineTo(screen[joint][0], screen[joint][1]);
      });
      pen.stroke();
    }
    for (const [joint, [x, y]] of screen.entries()) {
      pen.beginPath();
      pen.arc(x, y, (joint === chosen ? 7 : 4.5) * ratio, 0, 2 * Math.PI);
      pen.fillStyle = joint === chosen ? "#D55E00" : "#F0E442";
      Object.assign(pen, { lineWidth: 1.5 * ratio, strokeStyle: "black" });
      pen.fill();
      pen.stroke();
    }
    if (chosen >= 0) this.label(body.names[chosen].replaceAll("_", " "), screen[chosen], ratio);
  }

  label(words, [x, y], ratio) {
    const pen = this.context;
    Object.assign(pen, { font: `600 ${13 * ratio}px system-ui, sans-serif`, lineWidth: 4 * ratio, strokeStyle: "white", fillStyle: "black", textAlign: "left" });
    pen.strokeText(words, x + 11 * ratio, y - 9 * ratio);
    pen.fillText(words, x + 11 * ratio, y - 9 * ratio);
  }

  drawFrames(ratio) { // x red, y green, z blue, each with its letter
    const { context: pen, pose, body } = this, length = 0.09, chosen = this.model.get("joint");
    Object.assign(pen, { lineWidth: 2.5 * ratio, font: `600 ${11 * ratio}px system-ui, sans-serif`, textAlign: "center" });
    for (let joint = 0; joint < body.jointCount; joint++)
      ["x", "y", "z"].forEach((letter, axis) => {
        const tip = [0, 1, 2].map((row) => pose.world[12 * joint + 4 * row + 3] + length * pose.world[12 * joint + 4 * row + axis]);
        const [from, to] = [this.screen[joint], this.place(tip, 0)];
        pen.strokeStyle = pen.fillStyle = ["#D55E00", "#009E73", "#0072B2"][axis];
        pen.beginPath();
        pen.moveTo(from[0], from[1]);
        pen.lineTo(to[0], to[1]);
        pen.stroke();
        if (joint === chosen || joint === 0) pen.fillText(letter, to[0], to[1] - 3 * ratio);
      });
  }

  drawBar(ratio) { // the colours' scale, with its ends and its unit
    const pen = this.context, [low, high] = this.model.get("values")?.byteLength ? this.model.get("value_range") : [0, 1];
    const [x, y, width, height] = [14, 14, 14, 120].map((value) => value * ratio);
    const colors = pen.createLinearGradient(0, y + height, 0, y);
    ["#440154", "#3a528b", "#21918c", "#5ec962", "#fde725"].forEach((color, i) => colors.addColorStop(i / 4, color));
    pen.fillStyle = colors;
    pen.fillRect(x, y, width, height);
    Object.assign(pen, { font: `${12 * ratio}px system-ui, sans-serif`, fillStyle: getComputedStyle(this.canvas).color, textAlign: "left" });
    pen.fillText(short(high), x + width + 5 * ratio, y + 10 * ratio);
    pen.fillText(short(low), x + width + 5 * ratio, y + height);
    const joint = this.model.get("joint");
    const unit = this.model.get("values")?.byteLength ? this.model.get("value_label") : `weight of ${this.body.names[joint].replaceAll("_", " ")}`;
    pen.fillText(unit, x, y + height + 18 * ratio);
  }

  // ---- pointer, touch and keys

  near(event) { // the joint under the pointer, or -1
    if (!this.model.get("skeleton") || !this.screen) return -1;
    const ratio = this.canvas.width / this.canvas.clientWidth;
    const reach = (REACH[event.pointerType] ?? REACH.mouse) * ratio, frame = this.canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - frame.left) * ratio, (event.clientY - frame.top) * ratio];
    const distances = this.screen.map((at) => Math.hypot(at[0] - x, at[1] - y));
    const nearest = distances.indexOf(Math.min(...distances));
    return distances[nearest] < reach ? nearest : -1;
  }

  keepTouch(event) { // one finger beside all joints scrolls the page; on a joint, or two, are ours
    const touch = event.touches[0];
    const on = this.near({ clientX: touch.clientX, clientY: touch.clientY, pointerType: "touch" });
    if (event.touches.length > 1 || on >= 0) event.preventDefault();
  }

  grab(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus({ preventScroll: true });
    this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.fingers.size === 1) this.held = { joint: this.near(event), moved: 0 };
  }

  drag(event) {
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY], dx = now[0] - before[0], dy = now[1] - before[1];
    if (this.fingers.size > 1) this.pinch(event.pointerId, now, dx, dy);
    this.fingers.set(event.pointerId, now);
    if (this.fingers.size > 1) return;
    this.held.moved += Math.abs(dx) + Math.abs(dy);
    if (this.held.moved <= CLICK) return;
    const { joint } = this.held;
    if (joint >= 0 && event.shiftKey) this.bend(joint, [0, 0, -dx * JOINT_PER_PIXEL]);
    else if (joint >= 0) this.bend(joint, [dy * JOINT_PER_PIXEL, dx * JOINT_PER_PIXEL, 0]);
    else if (event.shiftKey || event.buttons === 2) this.slide(dx, dy);
    else this.orbit.turn(-dx * ORBIT_PER_PIXEL, dy * ORBIT_PER_PIXEL);
    this.refresh();
  }

  pinch(moving, now, dx, dy) { // with the first finger on a joint, the second twists it
    const [, other] = [...this.fingers].find(([id]) => id !== moving), before = this.fingers.get(moving);
    const apart = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]);
    const angle = (point) => Math.atan2(other[1] - point[1], point[0] - other[0]);
    this.held.moved = Infinity;
    if (this.held.joint >= 0) return this.bend(this.held.joint, [0, 0, angle(now) - angle(before)]);
    this.orbit.zoom(apart(before) / Math.max(apart(now), 1));
    this.slide(dx / 2, dy / 2);
    this.refresh();
  }

  drop(event) {
    if (!this.fingers.delete(event.pointerId) || this.fingers.size) return;
    const clicked = event.type === "pointerup" && this.held.moved <= CLICK;
    if (clicked && this.model.get("skeleton")) this.set({ joint: this.held.joint });
  }

  slide(dx, dy) {
    const { clientWidth, clientHeight } = this.canvas;
    const metres = (2 * Math.tan(HALF_VIEW) * this.orbit.distance) / Math.min(clientWidth, clientHeight);
    this.orbit.pan(-dx * metres, dy * metres);
  }

  bend(joint, angles) { // turn a joint about the picture's axes: to the right, up, to the eye
    this.player?.stop();
    if (this.model.get("joint") !== joint) this.model.set("joint", joint);
    this.update(); // several moves may come before the next drawing
    const axes = this.orbit.axes(), parent = this.body.parents[joint];
    const turn = rotation([0, 1, 2].map((k) => angles.reduce((sum, angle, axis) => sum + angle * axes[axis][k], 0)));
    const world = this.pose.world, own = Array.from(this.pose.rotations.slice(9 * joint, 9 * joint + 9));
    const above = parent < 0 ? rotation([0, 0, 0]) : [0, 1, 2].flatMap((row) => Array.from(world.slice(12 * parent + 4 * row, 12 * parent + 4 * row + 3)));
    const vector = axisAngle(product(transposed(above), product(turn, product(above, own))));
    if (joint === 0) return this.set({ global_orient: vector });
    const pose = [...this.model.get("body_pose")];
    pose.splice(3 * joint - 3, 3, ...vector);
    this.set({ body_pose: pose });
  }

  wheel(event) { // only where somebody has clicked: elsewhere the page scrolls
    const focused = document.activeElement === this.canvas || this.canvas.getRootNode().activeElement === this.canvas;
    if (!focused) return;
    event.preventDefault();
    this.orbit.zoom(Math.exp(event.deltaY * (event.deltaMode ? LINE : 1) * WHEEL));
    this.refresh();
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const joint = this.model.get("joint");
    if (step && event.altKey && joint >= 0) this.bend(joint, [-KEY_TURN * step[1], KEY_TURN * step[0], 0]);
    else if (step && event.shiftKey) this.slide(KEY_PAN * step[0], -KEY_PAN * step[1]);
    else if (step) this.orbit.turn(KEY_TURN * step[0], KEY_TURN * step[1]);
    else if (event.key === "+" || event.key === "-") this.orbit.zoom(event.key === "+" ? KEY_ZOOM : 1 / KEY_ZOOM);
    else if (event.key === "j" || event.key === "J") this.choose(event.shiftKey ? -1 : 1);
    else if (event.key === "Home") this.home();
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.refresh();
  }

  choose(step) { // the next joint, or the one before
    const { jointCount } = this.body, joint = this.model.get("joint");
    const next = joint < 0 ? (step > 0 ? 0 : jointCount - 1) : (joint + step + jointCount) % jointCount;
    this.set({ joint: next, skeleton: true });
    this.say(this.body.names[next].replaceAll("_", " "));
  }

  home() {
    this.orbit.frame(this.pose.vertices, ...(this.otherPose ? [this.otherPose.vertices] : []));
    this.refresh();
  }

  close() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.calming);
    this.closed = true;
    this.frame = 0; // no drawing any more
    this.player?.close();
    this.resizing.disconnect();
    for (const [event, act] of this.listeners) this.model.off(event, act);
    this.mesh?.free();
    this.other?.free();
    this.painter?.release(this);
    this.canvas.bodyViewer = null;
    this.root.remove();
  }
}

const short = (number) => String(Number(number.toPrecision(3)));

// ---------------------------------------------------------------- sliders

const BETA_RANGE = 4, BETA_SLIDERS = 16, ANGLE_RANGE = 3.15;
const FLAGS = { skeleton: "skeleton", frames: "joint frames", wireframe: "wireframe", weights: "skinning weights", correctives: "pose correctives" };

class Panel { // works without a kernel
  constructor(view) {
    Object.assign(this, { view, model: view.model, followers: [] });
    this.root = element("div", { className: "panel" });
    this.root.style.maxHeight = `${this.model.get("height")}px`;
    this.model.get("betas").slice(0, BETA_SLIDERS).forEach((_, k) => this.slider(`\u03b2${k + 1}`, `beta ${k + 1}`, BETA_RANGE, () => ["betas", k]));
    this.chooser();
    ["x", "y", "z"].forEach((axis, i) => this.slider(axis, `joint about ${axis}`, ANGLE_RANGE, () => this.angle(i)));
    this.flags();
    const reset = element("button", { type: "button", textContent: "Reset the body" });
    reset.addEventListener("click", () => this.reset());
    this.root.append(reset);
    view.root.firstChild.append(this.root);
  }

  angle(axis) { // where the chosen joint's angle is kept
    const joint = this.model.get("joint");
    return joint > 0 ? ["body_pose", 3 * joint - 3 + axis] : ["global_orient", axis];
  }

  slider(text, label, range, place) {
    const input = element("input", { type: "range", min: -range, max: range, step: 0.01, ariaLabel: label });
    const number = element("output");
    input.addEventListener("input", () => {
      const [name, index] = place();
      if (name !== "betas") this.view.player?.stop(); // shapes may change in mid-motion
      const values = [...this.model.get(name)];
      values[index] = Number(input.value);
      this.view.set({ [name]: values });
    });
    this.followers.push(() => {
      const [name, index] = place(), value = this.model.get(name)[index];
      if (Number(input.value) !== value) input.value = value;
      number.textContent = value.toFixed(2);
    });
    this.root.append(element("label", {}, element("span", { textContent: text }), input, number));
  }

  chooser() {
    const options = this.view.body.names.map((name, joint) => element("option", { value: joint, textContent: name.replaceAll("_", " ") }));
    const select = element("select", { ariaLabel: "joint" }, element("option", { value: -1, textContent: "no joint: the root" }), ...options);
    select.addEventListener("change", () => this.view.set({ joint: Number(select.value) }));
    this.followers.push(() => (select.value = this.model.get("joint")));
    this.root.append(select);
  }

  flags() {
    for (const [name, words] of Object.entries(FLAGS)) {
      const box = element("input", { type: "checkbox" });
      box.addEventListener("change", () => this.view.set({ [name]: box.checked }));
      this.followers.push(() => (box.checked = Boolean(this.model.get(name))));
      this.root.append(element("label", { className: "flag" }, box, words));
    }
  }

  reset() {
    this.view.player?.stop();
    const zeros = (name) => [name, this.model.get(name).map(() => 0)];
    this.view.set(Object.fromEntries(["betas", "body_pose", "global_orient", "transl"].map(zeros)));
  }

  follow() {
    this.followers.forEach((follow) => follow());
  }
}

class Player { // a recorded motion: the page plays it, the kernel hears where it stops
  constructor(view) {
    const { model, body } = view, motion = model.get("motion"), at = motion.byteOffset ?? 0;
    Object.assign(this, { view, model, playing: false, width: 3 * body.jointCount + 3 });
    this.frames = new Float32Array((motion.buffer ?? motion).slice(at, at + motion.byteLength));
    this.length = this.frames.length / this.width;
    this.button = element("button", { type: "button", textContent: "Play" });
    this.slider = element("input", { type: "range", min: 0, max: this.length - 1, step: 1, value: model.get("frame"), ariaLabel: "time" });
    this.clock = element("output");
    this.button.addEventListener("click", () => (this.playing ? this.stop() : this.play()));
    this.slider.addEventListener("input", () => {
      this.pause();
      this.show(Number(this.slider.value));
    });
    this.root = element("div", { className: "time" }, this.button, this.slider, this.clock);
    view.stage.append(this.root);
    this.tell();
  }

  pose() {
    const from = this.width * Number(this.slider.value), row = this.frames.subarray(from, from + this.width);
    return { transl: row.subarray(0, 3), global_orient: row.subarray(3, 6), body_pose: row.subarray(6) };
  }

  play() {
    this.playing = true;
    this.button.textContent = "Pause";
    const start = performance.now() - (1000 * Number(this.slider.value)) / this.model.get("fps");
    const step = (now) => {
      if (!this.playing) return;
      const frame = Math.floor(((now - start) / 1000) * this.model.get("fps")) % this.length;
      if (frame !== Number(this.slider.value)) {
        this.slider.value = frame;
        this.tell();
        this.view.invalidate("pose");
      }
      this.request = requestAnimationFrame(step);
    };
    this.request = requestAnimationFrame(step);
  }

  pause() {
    this.playing = false;
    cancelAnimationFrame(this.request);
    this.button.textContent = "Play";
  }

  stop() { // here: the body keeps the pose
    if (!this.playing) return;
    this.pause();
    this.show(Number(this.slider.value));
  }

  follow() { // Python, or another view of the same model, asks for a frame
    const frame = this.model.get("frame");
    if (!this.playing && Number(this.slider.value) !== frame) this.show(frame);
  }

  close() {
    this.pause();
    this.root.remove();
  }

  show(frame) {
    this.slider.value = frame;
    this.tell();
    const pose = Object.fromEntries(Object.entries(this.pose()).map(([name, values]) => [name, Array.from(values)]));
    this.view.set({ frame, ...pose });
  }

  tell() {
    this.clock.textContent = `${(Number(this.slider.value) / this.model.get("fps")).toFixed(2)} s`;
  }
}

// ---------------------------------------------------------------- in Jupyter, and without it

async function bodyOf(model) { // one for all viewers of a kernel
  const data = await model.widget_manager.get_model(model.get("body").replace("IPY_MODEL_", ""));
  return (data.unpackedBody ??= new Body(data.get("header"), data.get("data")));
}

export default {
  async render({ model, el }) {
    const view = new View(model, el, await bodyOf(model));
    return () => view.close();
  },
};

// A packed body, its data as bytes or in base64. Several viewers may share what this returns.
export function unpack({ header, data }) {
  return new Body(header, typeof data === "string" ? Uint8Array.from(atob(data), (c) => c.charCodeAt(0)) : data);
}

// A viewer without a kernel. packed: {header, data}, or what unpack() made of it.
export function mount(parent, packed, state = {}) {
  const body = packed instanceof Body ? packed : unpack(packed), listeners = new Map();
  const zeros = (count) => new Array(count).fill(0);
  const values = {
    betas: zeros(body.betaCount), body_pose: zeros(3 * body.jointCount - 3), global_orient: zeros(3),
    transl: zeros(3), correctives: true, joint: -1, controls: true, height: 500, fps: 30, frame: 0,
    value_range: [0, 1], value_label: "", ...state,
  };
  const model = { // what View asks of Jupyter's model
    get: (name) => values[name],
    set: (name, value) => {
      values[name] = value;
      for (const act of listeners.get(`change:${name}`) ?? []) act();
    },
    on: (event, act) => listeners.set(event, [...(listeners.get(event) ?? []), act]),
    off: (event, act) => listeners.set(event, (listeners.get(event) ?? []).filter((one) => one !== act)),
    save_changes() {},
    send() {},
  };
  const view = new View(model, parent, body);
  return { model, view, close: () => view.close() };
}
