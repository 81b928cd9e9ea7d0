"""``vh grade``: students' notebooks to points, with their code kept apart from tests and answers.

The trusted side holds the cases, the answers and the files; ``child`` is what runs beside students'
code, in a process that is sent arrays and sends arrays.
"""
