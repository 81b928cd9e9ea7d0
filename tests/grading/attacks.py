"""Answers that try to get out, or to be let through. Those that steal return the right answer only
if they got something: a point is a leak."""

from __future__ import annotations

STEALING = {
    "reads_solutions": """
import glob
def loot():
    return any(open(path).read() for path in PATHS if glob.glob(path))
""",
    "lists_the_proc_of_others": """
import os
def loot():
    others = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()]
    return any(open(f"/proc/{pid}/cmdline").read() for pid in others)
""",
    "reads_its_own_memory_map": """
def loot():
    return "grading" in open("/proc/self/cmdline").read()
""",
    "walks_stack_frames": """
import sys
def loot():
    frame, seen = sys._getframe(), []
    while frame:
        seen += [str(value) for value in (*frame.f_locals.values(), *frame.f_globals.values())
                 if isinstance(value, (str, bytes))]
        frame = frame.f_back
    return any("SOLUTION" in text or "return UNIT" in text for text in seen)
""",
    "walks_the_garbage_collector": """
import gc
def loot():
    kinds = {"Case", "Exercise", "AnswerKey", "Part", "Sheet"}
    return any(type(thing).__name__ in kinds for thing in gc.get_objects())
""",
    "imports_the_library": """
import sys
def loot():
    for name in [name for name in sys.modules if name.startswith("vhlib")]:
        del sys.modules[name]
    import vhlib.course.bank
    return True
""",
    "asks_the_oracle_for_itself": """
import gc
def loot():
    (channel,) = [thing for thing in gc.get_objects() if type(thing).__name__ == "Channel"]
    for name in ("double", "quadruple"):
        question = {"kind": "ask", "name": name, "names": [],
                    "inputs": [{"items": [{"value": 1.0}]}, {"items": []}]}
        channel.send(question)
        if "value" in channel.receive()[0]:
            return True
    return False
""",
    "connects_to_a_socket": """
import socket
def loot():
    return socket.create_connection(("127.0.0.1", PORT), 1.0) is not None
""",
    "listens_on_a_socket": """
import socket
def loot():
    return socket.socket(socket.AF_UNIX).bind("\\0grading") is None
""",
    "writes_outside": """
def loot():
    written = 0
    for path in TARGETS:
        try:
            open(path, "w").write("pwned")
            written += 1
        except OSError:
            pass
    return written
""",
    "starts_a_program": """
import subprocess
def loot():
    return subprocess.run(["/bin/sh", "-c", "true"]).returncode == 0
""",
    "leaves_a_daemon": """
import os, time
def loot():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
    return True
""",
    "bombs_with_forks": """
import os
def loot():
    while True:
        os.fork()
""",
    "takes_50_gigabytes": """
import numpy
def loot():
    return numpy.ones(50 * 10**9 // 8).sum() > 0
""",
    "takes_memory_in_small_pieces": """
def loot():
    pieces = []
    while len(pieces) < 5000:
        pieces.append(bytearray(10**7))
    return True
""",
    "fills_the_disk": """
def loot():
    with open("big", "wb") as file:
        for _ in range(100):
            file.write(bytes(10**6))
    return True
""",
    "fills_the_disk_with_many_files": """
def loot():
    for number in range(100):
        with open(f"big{number}", "wb") as file:
            file.write(bytes(10**6))
    return True
""",
    "mounts_and_unshares": """
import ctypes
def loot():
    libc = ctypes.CDLL(None)
    return 0 in (libc.unshare(0x10000000), libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
""",
    "becomes_root": """
import os
def loot():
    before = os.getuid()
    os.setuid(0)
    return before != 0  # a container's root without rights of root stays what it is
""",
    "traces_processes": """
import ctypes
def loot():
    libc = ctypes.CDLL(None)
    return any(libc.ptrace(16, pid, 0, 0) == 0 for pid in range(1, 40))
""",
}

DISRUPTING = {
    "loops": "def double(x):\n    while True:\n        pass",
    "sleeps": "import time\ndef double(x):\n    time.sleep(1e6)",
    "exits": "import os\ndef double(x):\n    os._exit(0)",
    "raises_system_exit": "import sys\ndef double(x):\n    sys.exit()",
    "crashes": "import ctypes\ndef double(x):\n    ctypes.string_at(0)",
    "recurses": "def double(x):\n    return double(x)",
    "kills_everybody": """
import os, signal
def double(x):
    for pid in (os.getppid(), -1, 0, *range(2, 200)):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
""",
    "bombs_with_threads": """
import threading, time
def double(x):
    while True:
        threading.Thread(target=time.sleep, args=(100,)).start()
""",
    "floods_output": """
import os, sys
def double(x):
    for _ in range(1000):
        print("x" * 10**5)
        sys.stderr.write("x" * 10**5)
        os.write(1, b"x" * 10**5)
""",
    "writes_nonsense_to_every_file": """
import os
def double(x):
    for number in range(64):
        try:
            os.write(number, b"\\xff" * 4096)
        except OSError:
            pass
""",
    "forges_an_answer": """
import json, os, struct
def double(x):
    answer = {"kind": "answer", "value": {"value": 1.0}, "gradients": [], "changed": []}
    header = json.dumps({"message": answer, "arrays": []}).encode()
    for number in range(3, 64):
        try:
            os.write(number, struct.pack("<II", len(header), 0) + header)
        except OSError:
            pass
""",
    "forges_a_huge_header": """
import os, struct
def double(x):
    os.write(3, struct.pack("<II", 2**32 - 1, 2**32 - 1))
    while True:
        os.write(3, bytes(65536))
""",
    "forges_deep_json": """
import os, struct
def double(x):
    header = b"[" * 60000
    os.write(3, struct.pack("<II", len(header), 0) + header)
""",
    "patches_numpy": """
import numpy as np
np.allclose = np.array_equal = lambda *a, **k: True
np.abs = np.absolute = lambda a: np.zeros_like(a)
def double(x):
    return x
""",
    "patches_the_worker": """
import sys
def double(x):
    for name, module in list(sys.modules.items()):
        for key in ("answered", "packed", "plain", "compare"):
            if module is not None and hasattr(module, key):
                setattr(module, key, None)
    frame = sys._getframe(1)
    frame.f_globals.clear()
""",
    "returns_an_array_that_equals_all": """
import numpy as np
class Equal(np.ndarray):
    def __eq__(self, other): return np.True_
    def __ne__(self, other): return np.False_
    def __sub__(self, other): return self * 0
    def __array_ufunc__(self, *a, **k): return np.float64(0)
    def __array_finalize__(self, other): pass
def double(x):
    return np.asarray(x).view(Equal)
""",
    "lies_about_its_class": """
import numpy as np
class Liar:
    __class__ = np.ndarray
    shape, dtype = (5, 3), np.dtype(float)
    def __eq__(self, other): return True
def double(x):
    return Liar()
""",
    "returns_a_lazy_object": """
import numpy as np
class Lazy:
    def __init__(self, x): self.x = x
    def __array__(self, *a, **k): return 2 * np.asarray(self.x)
def double(x):
    return Lazy(x)
""",
    "returns_a_generator": "def double(x):\n    yield 2 * x",
    "returns_a_list": "def double(x):\n    return [2 * x]",
    "returns_objects": """
import numpy as np
def double(x):
    return np.array([2 * x, None], object)
""",
    "returns_a_huge_array": "import numpy as np\ndef double(x):\n    return np.zeros(10**8)",
    "returns_a_huge_number": "def double(x):\n    return 10**400",
    "returns_nan": "import numpy as np\ndef double(x):\n    return x * np.nan + np.nan",
    "returns_text": "import numpy as np\ndef double(x):\n    return np.asarray(2 * x).astype(str)",
    "returns_complex_numbers": "def double(x):\n    return (2 + 0j) * x",
    "returns_itself": "def double(x):\n    return double",
    "raises_an_evil_error": """
class Evil(BaseException):
    def __str__(self): raise Evil
    __repr__ = __str__
def double(x):
    raise Evil(x)
""",
    "asks_for_input": "def double(x):\n    return float(input())",
}
