"""What mediapipe itself finds: run by benchmarks/detector.py in an environment of mediapipe's own.

It knows nothing of vhlib: pictures come in one npz file, answers leave in another.
"""

import sys

import mediapipe
import numpy as np


def answers(pose: object, picture: np.ndarray) -> dict[str, np.ndarray]:
    """Keypoints in pixels with visibility, and the mask; empty if mediapipe finds nobody."""
    result = pose.process(picture)
    if result.pose_landmarks is None:
        return {}
    height, width = picture.shape[:2]
    rows = [(p.x * width, p.y * height, p.visibility) for p in result.pose_landmarks.landmark]
    return {"keypoints": np.array(rows, np.float32), "mask": result.segmentation_mask}


def main(pictures: str, out: str) -> None:
    pose = mediapipe.solutions.pose.Pose(
        static_image_mode=True, model_complexity=1, enable_segmentation=True
    )
    found = {"version": np.array(mediapipe.__version__)}
    for name, picture in np.load(pictures).items():
        found |= {f"{name}/{key}": value for key, value in answers(pose, picture).items()}
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
