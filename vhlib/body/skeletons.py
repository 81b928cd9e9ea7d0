"""Named skeletons, and where each of their points lies on a SMPL body.

A point is either one of SMPL's 24 joints, a *landmark* (a vertex of the posed mesh, for points that
SMPL has no joint for), or a fixed weighted sum of those. Everything here goes by name: an index
appears only where a file format or a released code fixes an order.

Sources: joint order and vertex ids of SMPL, facts of vchoutas/smplx (``vertex_ids.py``); OpenPose
orders, CMU-Perceptual-Computing-Lab/openpose; BlazePose order, google-ai-edge/mediapipe.
"""

from __future__ import annotations

from collections.abc import Mapping

from vhlib.body.skeleton import Skeleton

SMPL_PARENTS: Mapping[str, str | None] = {
    "pelvis": None,
    "left_hip": "pelvis",
    "right_hip": "pelvis",
    "spine1": "pelvis",
    "left_knee": "left_hip",
    "right_knee": "right_hip",
    "spine2": "spine1",
    "left_ankle": "left_knee",
    "right_ankle": "right_knee",
    "spine3": "spine2",
    "left_foot": "left_ankle",
    "right_foot": "right_ankle",
    "neck": "spine3",
    "left_collar": "spine3",
    "right_collar": "spine3",
    "head": "neck",
    "left_shoulder": "left_collar",
    "right_shoulder": "right_collar",
    "left_elbow": "left_shoulder",
    "right_elbow": "right_shoulder",
    "left_wrist": "left_elbow",
    "right_wrist": "right_elbow",
    "left_hand": "left_wrist",
    "right_hand": "right_wrist",
}
"""SMPL's 24 joints in order, each with its parent (Loper et al. 2015)."""

# Vertex ids on SMPL's own 6,890-vertex mesh; other meshes store theirs in the model file.
SMPL_LANDMARK_VERTICES: Mapping[str, int] = {
    "nose": 332,
    "right_eye": 6260,
    "left_eye": 2800,
    "right_ear": 4071,
    "left_ear": 583,
    "left_big_toe": 3216,
    "left_small_toe": 3226,
    "left_heel": 3387,
    "right_big_toe": 6617,
    "right_small_toe": 6624,
    "right_heel": 6787,
    "left_thumb": 2746,
    "left_index": 2319,
    "left_middle": 2445,
    "left_ring": 2556,
    "left_pinky": 2673,
    "right_thumb": 6191,
    "right_index": 5782,
    "right_middle": 5905,
    "right_ring": 6016,
    "right_pinky": 6133,
    "head_top": 411,
}
LANDMARKS: tuple[str, ...] = tuple(SMPL_LANDMARK_VERTICES)

_LIMBS = tuple(
    (f"{side}_{a}", f"{side}_{b}")
    for side in ("left", "right")
    for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
)
_TORSO = (
    ("left_shoulder", "right_shoulder"),
    ("left_hip", "right_hip"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
)
_FACE = (
    ("nose", "left_eye"),
    ("nose", "right_eye"),
    ("left_eye", "left_ear"),
    ("right_eye", "right_ear"),
)
_FEET = tuple(
    (f"{side}_{a}", f"{side}_{b}")
    for side in ("left", "right")
    for a, b in (("ankle", "heel"), ("ankle", "big_toe"), ("big_toe", "small_toe"))
)


def _same(names: str) -> dict[str, dict[str, float]]:
    """Points that are the SMPL joints or landmarks of the same name."""
    return {name: {name: 1.0} for name in names.split()}


def _mix(point: str, **weights: float) -> dict[str, dict[str, float]]:
    return {point: weights}


SMPL_24 = Skeleton(
    "smpl_24",
    _same(" ".join(SMPL_PARENTS)),
    tuple((parent, joint) for joint, parent in SMPL_PARENTS.items() if parent is not None),
)

# smplx.SMPL's 45 output joints: the 24 joints, then 21 landmarks (without the top of the head).
SMPLX_45 = Skeleton(
    "smplx_45", SMPL_24.points | _same(" ".join(LANDMARKS[:-1])), SMPL_24.edges + _FACE + _FEET
)

# The mapping of vchoutas/smplify-x: OpenPose's neck and mid-hip are SMPL's neck and pelvis joints.
OPENPOSE_25 = Skeleton(
    "openpose_25",
    _same("nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist")
    | _mix("mid_hip", pelvis=1.0)
    | _same("right_hip right_knee right_ankle left_hip left_knee left_ankle")
    | _same("right_eye left_eye right_ear left_ear")
    | _same("left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel"),
    _LIMBS + _TORSO + _FACE + _FEET + (("nose", "neck"), ("neck", "mid_hip")),
)

COCO_17 = Skeleton(
    "coco_17",
    _same("nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow")
    | _same("right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee")
    | _same("left_ankle right_ankle"),
    _LIMBS + _TORSO + _FACE,
)

# Our own ankles: OpenPose puts them above the centre of the joint, by 53 mm in Pose2Sim's OpenSim
# model for it and by some 20 mm in the static trial of its demo
# (benchmarks/joint_definitions.py); 14 mm are less than either. (Hips lie 15 and 20 mm below it
# there, but bodies differ by more in where they have theirs.) Our own upper neck: on the real
# clip detectors put it about a centimetre above SMPL's neck joint.
OPENPOSE_25B = Skeleton(
    "openpose_25b",
    COCO_17.points
    | _mix("left_ankle", left_ankle=0.965, left_knee=0.035)
    | _mix("right_ankle", right_ankle=0.965, right_knee=0.035)
    | _mix("upper_neck", neck=0.9, left_ear=0.05, right_ear=0.05)
    | _same("head_top left_big_toe left_small_toe left_heel")
    | _same("right_big_toe right_small_toe right_heel"),
    _LIMBS + _TORSO + _FACE + _FEET + (("upper_neck", "head_top"),),
)

# LSP's and Human3.6M's own regressors are licence-gated. Necks and spines below are our own
# combinations; the hips are SMPL's, several centimetres from where those data sets click them.
LSP_14 = Skeleton(
    "lsp_14",
    _same("right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow")
    | _same("right_shoulder left_shoulder left_elbow left_wrist")
    | _mix("neck", neck=0.5, left_shoulder=0.25, right_shoulder=0.25)
    | _same("head_top"),
    _LIMBS + _TORSO + (("neck", "head_top"),),
)

# Human3.6M's own order, right leg before left.
H36M_17 = Skeleton(
    "h36m_17",
    _same("pelvis right_hip right_knee right_ankle left_hip left_knee left_ankle")
    | _mix("spine", spine1=0.5, spine2=0.5)
    | _mix("thorax", neck=0.5, left_shoulder=0.25, right_shoulder=0.25)
    | _mix("jaw", head=0.4, nose=0.6)
    | _same("head_top left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist"),
    (*_LIMBS, ("pelvis", "left_hip"), ("pelvis", "right_hip"), ("pelvis", "spine"))
    + (("spine", "thorax"), ("thorax", "left_shoulder"), ("thorax", "right_shoulder"))
    + (("thorax", "jaw"), ("jaw", "head_top")),
)


def _eye(side: str, other: str) -> dict[str, dict[str, float]]:
    """The corners lie about 15 mm beside the pupils, which are 62 mm apart."""
    return (
        _mix(f"{side}_eye_inner", **{f"{side}_eye": 0.75, f"{other}_eye": 0.25})
        | _same(f"{side}_eye")
        | _mix(f"{side}_eye_outer", **{f"{side}_eye": 1.25, f"{other}_eye": -0.25})
    )


def _mouth(side: str, other: str) -> dict[str, float]:
    """Below the nose in the plane of nose, eyes and ears, three quarters as wide as the eyes.

    nose + 0.5 (nose - eyes) + 0.4 (ears - eyes) +- 0.38 (left eye - right eye), eyes and ears
    being the middle of the two.
    """
    eyes = {f"{side}_eye": -0.45 + 0.38, f"{other}_eye": -0.45 - 0.38}
    return {"nose": 1.5, **eyes, "left_ear": 0.2, "right_ear": 0.2}


def _blazepose() -> dict[str, Mapping[str, float]]:
    """BlazePose's 33 points. Eye corners, mouth and knuckles are our own combinations."""
    sides = (("left", "right"), ("right", "left"))

    def both(*names: str) -> dict[str, dict[str, float]]:
        return _same(" ".join(f"{side}_{name}" for name in names for side, _ in sides))

    # Shares of the way from the wrist to the finger tip; the thumb's is its second knuckle.
    along = {"pinky": 0.5, "index": 0.5, "thumb": 0.75}
    knuckles = {
        f"{side}_{finger}": {f"{side}_wrist": 1 - share, f"{side}_{finger}": share}
        for finger, share in along.items()
        for side, _ in sides
    }
    return (
        _same("nose")
        | _eye("left", "right")
        | _eye("right", "left")
        | both("ear")
        | {f"mouth_{side}": _mouth(side, other) for side, other in sides}
        | both("shoulder", "elbow", "wrist")
        | knuckles
        | both("hip", "knee", "ankle", "heel")
        | {f"{side}_foot_index": {f"{side}_big_toe": 1.0} for side, _ in sides}
    )


BLAZEPOSE_33 = Skeleton(
    "blazepose_33",
    _blazepose(),
    _LIMBS
    + _TORSO
    + _FACE
    + tuple(
        (f"{side}_{a}", f"{side}_{b}")
        for side in ("left", "right")
        for a, b in (("ankle", "heel"), ("heel", "foot_index"), ("wrist", "index"))
    ),
)

SKELETONS: Mapping[str, Skeleton] = {
    skeleton.name: skeleton
    for skeleton in (
        *(SMPL_24, SMPLX_45, OPENPOSE_25, OPENPOSE_25B),
        *(COCO_17, LSP_14, H36M_17, BLAZEPOSE_33),
    )
}


def get_skeleton(name: str | Skeleton) -> Skeleton:
    """The skeleton called ``name`` (a Skeleton passes through); ValueError names the known."""
    if isinstance(name, Skeleton):
        return name
    if name not in SKELETONS:
        raise ValueError(f"unknown skeleton {name!r}; known: {', '.join(SKELETONS)}")
    return SKELETONS[name]


def registered_name(skeleton: str | Skeleton) -> str:
    """The name by which ``SKELETONS`` holds a skeleton; ValueError names those that it holds."""
    found = get_skeleton(skeleton)
    if SKELETONS.get(found.name) != found:
        raise ValueError(
            f"the skeleton {found.name!r} is one of your own, which only SMPL.keypoints takes; "
            f"known here: {', '.join(SKELETONS)}"
        )
    return found.name
