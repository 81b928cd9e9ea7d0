"""More answers that disrupt, or hope to be let through: by the socket, numpy, signals and types."""

from __future__ import annotations

DISRUPTING = {
    "answers_by_the_number_of_the_call": """
calls = []
TABLE = [[1.0, 2.0, 3.0]] * 100
def double(x):
    calls.append(1)
    return TABLE[len(calls)]
""",
    "answers_by_the_time": "import time\ndef double(x):\n    return time.time() * x",
    "answers_ahead_of_the_call": """
import json, os, struct
answer = {"kind": "answer", "value": {"value": 1.0}, "gradients": [], "changed": []}
header = json.dumps({"message": answer, "arrays": []}).encode()
def double(x):
    for _ in range(100):
        os.write(3, struct.pack("<II", len(header), 0) + header)
    return x
""",
    "answers_from_a_thread_after_the_call": """
import os, threading, time
def late():
    while True:
        time.sleep(0.01)
        os.write(3, b"\\x00" * 64)
def double(x):
    threading.Thread(target=late, daemon=True).start()
    return x
""",
    "leaves_threads_that_burn": """
import threading
def burn():
    while True:
        pass
def double(x):
    threading.Thread(target=burn, daemon=True).start()
    return x
""",
    "closes_its_socket": "import os\ndef double(x):\n    os.close(3)\n    return x",
    "shuts_its_socket_down": """
import socket
def double(x):
    socket.socket(fileno=3).shutdown(socket.SHUT_RDWR)
    return x
""",
    "sends_handles": """
import os, socket
def double(x):
    line = socket.socket(fileno=3)
    for _ in range(1000):
        socket.send_fds(line, [b"\\x00"], [0, 1, 2])
    return x
""",
    "drips_its_answer": """
import os, time
def double(x):
    while True:
        os.write(3, b"\\x01")
        time.sleep(0.01)
""",
    "sends_a_kind_that_is_a_list": """
import json, os, struct
def double(x):
    for message in ({"kind": ["answer"]}, {"kind": "raised", "error": ["x"]}):
        header = json.dumps({"message": message, "arrays": []}).encode()
        os.write(3, struct.pack("<II", len(header), 0) + header)
    return x
""",
    "answers_a_shape_of_nothing": """
import numpy as np
def double(x):
    return np.empty((0, 2**20, 2**20))
""",
    "answers_deep_tuples": """
def double(x):
    value = ()
    for _ in range(100000):
        value = (value,)
    return value
""",
    "answers_a_pickle": """
import numpy as np, pickle
class Evil:
    def __reduce__(self): return (exec, ("raise SystemExit",))
def double(x):
    return np.frombuffer(pickle.dumps(Evil()), np.uint8)
""",
    "answers_an_object_that_pretends_to_be_a_tensor": """
class Tensor:
    def detach(self): return self
    cpu = resolve_conj = detach
    def numpy(self): return "everything"
Tensor.__module__ = "torch"
def double(x):
    return Tensor()
""",
    "answers_through_the_array_interface": """
class Interface:
    __array_interface__ = {"shape": (10**6,), "typestr": "<f8", "data": (1, True), "version": 3}
def double(x):
    return Interface()
""",
    "answers_memory_that_is_not_its_own": """
import numpy as np
class Interface:
    __array_interface__ = {"shape": (10**6,), "typestr": "<f8", "data": (1, True), "version": 3}
def double(x):
    return np.asarray(Interface())
""",
    "grows_over_the_cases": """
import numpy as np
kept = []
def double(x):
    kept.append(np.ones(50_000_000))
    return np.ones(8_000_000)
""",
    "changes_how_numpy_fails": """
import numpy as np
np.seterr(all="raise")
np.set_printoptions(formatter={"all": lambda x: 1 / 0})
np.seterrcall(lambda *a: 1 / 0)
def double(x):
    np.errstate = None
    return np.float64(1) / 0 * x
""",
    "patches_json_and_the_socket": """
import json, socket, struct
json.dumps = lambda *a, **k: "[" * 60000
def double(x):
    return x
""",
    "ignores_every_signal": """
import signal, time
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
def double(x):
    while True:
        time.sleep(1)
""",
    "ends_itself_by_a_signal_without_a_name": """
import os
def double(x):
    os.kill(os.getpid(), 40)
    return x
""",
    "stops_itself": """
import os, signal
def double(x):
    os.kill(os.getpid(), signal.SIGSTOP)
    return x
""",
    "makes_a_sparse_file": """
import os
def double(x):
    with open("sparse", "wb") as file:
        file.truncate(1 << 50)
    return 2 * x
""",
    "makes_many_folders": """
import os
def double(x):
    for _ in range(10**6):
        os.mkdir("d")
        os.chdir("d")
    return 2 * x
""",
    "opens_too_many_pipes": """
import os
def double(x):
    while True:
        os.pipe()
""",
    "is_defined_by_an_import_hook": """
import builtins, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        raise ImportError("everything is mine")
def double(x):
    sys.meta_path.insert(0, Finder())
    sys.modules.clear()
    import numpy
    return 2 * x
""",
    "redefines_the_check": """
open_sheet = check = lambda *a, **k: True
class sheet:
    name, points = "90_tiny", {"double": 1e9}
def double(x):
    return check(x)
""",
    "is_named_alike": "def dоuble(x):\n    return 2 * x\ndef double(x):\n    return x",
    "is_an_evil_type": """
class Name(type):
    __name__ = property(lambda self: {1, 2})
class Evil(BaseException, metaclass=Name):
    pass
def double(x):
    raise Evil
""",
    "raises_a_group_of_itself": """
def double(x):
    error = ValueError()
    for _ in range(10000):
        error = ExceptionGroup("deep", [error])
    raise error
""",
    "ends_in_a_destructor": """
import os
class Late:
    def __del__(self): os._exit(1)
def double(x):
    Late()
    return x
""",
}
