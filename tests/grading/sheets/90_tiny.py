# ruff: noqa: E501
# %% [markdown]
# # Tiny

# %% tags=["given"]
UNIT = 2.0

# %% [markdown]
# ## Double
# **2 points · difficulty 1 of 5 · 5 minutes**


# %% nbgrader={"grade": false, "grade_id": "double", "locked": false, "schema_version": 3, "solution": true, "task": false}
def double(x):
    """Twice ``x``."""
    ### BEGIN SOLUTION
    return UNIT * x
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "double_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(double)

# %% [markdown]
# ## Quadruple
# **4 points · difficulty 1 of 5 · 5 minutes**


# %% nbgrader={"grade": false, "grade_id": "quadruple", "locked": false, "schema_version": 3, "solution": true, "task": false}
def quadruple(x):
    """Four times ``x``."""
    ### BEGIN SOLUTION
    return double(double(x))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "quadruple_check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check(quadruple)
