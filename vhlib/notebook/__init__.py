"""What only a notebook needs: figures, controls, progress bars, the clip or its stand-in."""

import logging

# On a fresh machine matplotlib announces on stderr that it lists the fonts, once: a red box.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
