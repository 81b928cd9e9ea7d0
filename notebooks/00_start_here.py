# %% [markdown]
# # Start here

# %% tags=["real_data"]
import matplotlib.pyplot as plt
import numpy as np

from vhlib.notebook.figures import show

# %% [markdown]
# A placeholder until the fit is there.

# %% tags=["real_data"]
figure, axes = plt.subplots(figsize=(4, 3))
axes.plot(np.linspace(0, 1, 20) ** 2)
show(figure, alt="A parabola from (0, 0) to (19, 1)")

# %% tags=["real_data"]
# NBVAL_CHECK_OUTPUT
print(f"{np.pi:.2f}")
