# ruff: noqa: E501
# %% [markdown]
# # Tensors

# %% tags=["given"]
import torch

# %% [markdown]
# ## Length
# **2 points · difficulty 1 of 5 · 5 minutes**


# %% nbgrader={"grade": false, "grade_id": "length", "locked": false, "schema_version": 3, "solution": true, "task": false}
def length(x):
    """Length of each vector ``(..., N)``."""
    ### BEGIN SOLUTION
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "length_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(length)

# %% [markdown]
# ## Direction
# **3 points · difficulty 1 of 5 · 5 minutes**


# %% nbgrader={"grade": false, "grade_id": "direction", "locked": false, "schema_version": 3, "solution": true, "task": false}
def direction(x):
    """Each vector at length one."""
    ### BEGIN SOLUTION
    return x / length(x)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "direction_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(direction)
