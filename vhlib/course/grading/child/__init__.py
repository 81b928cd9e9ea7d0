"""What runs in a student's process: the standard library and numpy, nothing else of vhlib.

:mod:`worker` is started by its path, in a Python that finds no vhlib but this folder. Of its
modules, the trusted side uses :mod:`framing` alone.
"""
