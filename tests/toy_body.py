"""A body of two joints and two vertices whose posed vertices can be computed by hand.

At rest      joint 0 and vertex 0 lie at the origin, vertex 1 at (0, 2, 0), joint 1 halfway between.
Skinning     vertex 0 follows joint 0; vertex 1 follows joint 1 by 3/4 and joint 0 by 1/4.
betas[0]     one unit lifts vertex 1 by 2, and so joint 1 by 1.
betas[1]     one unit moves everything by 1 along x.
Correctives  vertex 1 moves along z by half of (R_1 - I)[0, 1], which is -sin(angle) about z.

So if joint 1 turns by 90 degrees about z, the corrective takes vertex 1 to (0, 2, -1/2). Joint 1
carries it to (-1, 1, -1/2), joint 0 leaves it, and 3/4 of one plus 1/4 of the other is
(-3/4, 5/4, -1/2).
"""

from __future__ import annotations

import numpy as np

from vhlib.body.model_files import BodyModelData


def toy_model() -> BodyModelData:
    shapedirs = np.zeros((2, 3, 2))
    shapedirs[1, 1, 0] = 2.0
    shapedirs[:, 0, 1] = 1.0
    posedirs = np.zeros((2, 3, 9))
    posedirs[1, 2, 1] = 0.5
    return BodyModelData(
        v_template=np.array([[0.0, 0.0, 0.0], [0.0, 2.0, 0.0]]),
        faces=np.array([[0, 1, 1]]),
        lbs_weights=np.array([[1.0, 0.0], [0.25, 0.75]]),
        shapedirs=shapedirs,
        posedirs=posedirs,
        J_regressor=np.array([[1.0, 0.0], [0.5, 0.5]]),
        parents=(-1, 0),
        landmarks={"left_heel": 0, "head_top": 1},
        provenance="tests/toy_body.py",
    )
