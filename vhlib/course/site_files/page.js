// Brings a static page to life: bodies that turn and bend, figures that turn. Nothing is fetched
// from another host.
import { mount, unpack } from "./viewer.js";

const models = new Map(); // name -> promise of a body that several viewers share

async function load(name) {
  const [header, data] = await Promise.all([fetch(`${name}.json`), fetch(`${name}.bin`)]);
  if (!header.ok || !data.ok) throw new Error(`${name} can't be fetched`);
  return unpack({ header: await header.json(), data: new Uint8Array(await data.arrayBuffer()) });
}

const model = (name) => models.get(name) ?? models.set(name, load(name)).get(name);
const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const unwrapped = ([name, value]) => [name, value?.base64 === undefined ? value : bytes(value.base64)];
const inlined = (element) => JSON.parse(element.querySelector("script").textContent);

async function showBody(element) {
  try {
    const state = Object.fromEntries(Object.entries(inlined(element)).map(unwrapped));
    const still = element.querySelector("img");
    if (still) state.still = new DataView(await (await fetch(still.src)).arrayBuffer());
    const body = await model(element.dataset.model);
    still?.remove();
    mount(element, body, state);
  } catch (error) { // the picture stays
    element.append(Object.assign(document.createElement("p"), { textContent: `The body can't be shown live: ${error.message}.` }));
  }
}

async function showFigure(element) {
  const { data, layout, config } = inlined(element);
  if (!globalThis.Plotly) await import("./plotly.min.js");
  await globalThis.Plotly.newPlot(element, data, layout, { responsive: true, displaylogo: false, ...config });
}

// What isn't near the window yet waits: a page may hold a dozen bodies.
const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    watcher.unobserve(target);
    target.classList.contains("body") ? showBody(target) : showFigure(target);
  }
}, { rootMargin: "600px" });
for (const element of document.querySelectorAll(".body, .plotly-figure")) watcher.observe(element);
