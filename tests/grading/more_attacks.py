"""More answers that try to get out, in or through: by the kernel, by files and by questions.

As in ``attacks.py``, those that steal return the right answer only if they got something.
"""

from __future__ import annotations

SYSTEM_CALLS = {
    "io_uring_setup": "425, 4, buffer",
    "memfd_create": "319, buffer, 0",
    "memfd_secret": "447, 0",
    "userfaultfd": "323, 0",
    "keyctl": "250, 0, -3, 1",
    "add_key": "248, b'user', b'vh', b'x', 1, -3",
    "perf_event_open": "298, buffer, 0, -1, -1, 0",
    "bpf": "321, 0, buffer, 64",
    "fork": "57",
    "vfork_by_clone": "56, 17, 0, 0, 0, 0",
    "clone3": "435, clone3_arguments, 64",
    "pidfd_open": "434, 1, 0",
    "process_vm_readv": "310, 1, buffer, 1, buffer, 1, 0",
    "ptrace_itself": "101, 0, 0, 0, 0",
    "mount": "165, b'none', b'/student', b'tmpfs', 0, 0",
    "new_mount": "430, b'tmpfs', 0",
    "chroot": "161, b'/student'",
    "new_namespace": "272, 0x10000000",
    "shared_memory": "29, 0, 4096, 0o1777",
    "message_queue": "240, b'vh', 0o102, 0o600, 0",
    "device_node": "133, b'/student/mem', 0o20666, 0x101",
    "socket": "41, 1, 1, 0",
    "execve": "59, b'/bin/sh', 0, 0",
    "execve_of_the_loader": "59, b'/lib64/ld-linux-x86-64.so.2', 0, 0",
    "kernel_log": "103, 3, buffer, 64",
    "host_name": "170, b'pwned', 5",
    "priority": "141, 0, 0, -20",
    "capabilities_back": "126, capset_header, capset_rights",
    "more_open_files": "160, 7, more_files",
}
"""Calls of x86-64 by number, each to be refused."""

CALLS_BY_NUMBER = """
import ctypes, struct
import numpy as np
def calls(x):
    libc, buffer = ctypes.CDLL(None), ctypes.create_string_buffer(4096)
    clone3_arguments = struct.pack("<8Q", 0, 0, 0, 0, 17, 0, 0, 0)
    capset_header = struct.pack("<Ii", 0x20080522, 0)
    capset_rights = struct.pack("<6I", *[0xFFFFFFFF] * 6)
    more_files = struct.pack("<QQ", 1 << 20, 1 << 20)
    return np.array([libc.syscall(*arguments) for arguments in (ARGUMENTS,)])
""".replace("ARGUMENTS,", ", ".join(f"({arguments},)" for arguments in SYSTEM_CALLS.values()))
"""A function that makes all of them and gives what they return."""

STEALING = {
    "writes_shared_memory": """
def loot():
    return open("/dev/shm/vh", "wb").write(b"x")
""",
    "opens_devices": """
def loot():
    for path in ("/dev/mem", "/dev/kmsg", "/dev/tty", "/dev/ptmx", "/dev/fuse", "/dev/vda"):
        try:
            return open(path, "rb") is not None
        except OSError:
            pass
""",
    "finds_the_submissions_folder": """
import glob
def loot():
    return [p for p in glob.glob("/**/*.ipynb", recursive=True) if "site-packages" not in p]
""",
    "finds_a_set_user_id_program_and_runs_it": """
import os
def loot():
    for folder, _, names in os.walk("/"):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path) and os.stat(path).st_mode & 0o4000:
                os.execv(path, [path])
""",
    "reads_the_environment": """
import os
def loot():
    return any("secret" in (k + v).lower() or "/work" in v for k, v in os.environ.items())
""",
    "changes_a_library": """
import os, numpy
def loot():
    path = os.path.join(os.path.dirname(numpy.__file__), "pwned.py")
    for act in (lambda: open(path, "w"), lambda: os.chmod(numpy.__file__, 0o777),
                lambda: os.utime(numpy.__file__), lambda: os.unlink(numpy.__file__)):
        try:
            return act() or True
        except OSError:
            pass
""",
    "takes_a_handle_from_the_socket": """
import array, socket
def loot():
    line = socket.socket(fileno=3)
    line.settimeout(0.05)
    return line.recvmsg(1, 1024)[1]
""",
    "sees_another_process": """
import os
def loot():
    for pid in range(2, 3000):
        try:
            os.kill(pid, 0)
            return True
        except OSError:
            pass
    return os.getppid() != 0
""",
    "raises_its_limits": """
import resource
def loot():
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_CPU):
        try:
            resource.setrlimit(kind, (resource.RLIM_INFINITY,) * 2)
            return True
        except (OSError, ValueError):
            pass
""",
    "imports_the_library_by_a_loader_of_its_own": """
import glob, importlib.util, sys
def loot():
    for path in glob.glob("/**/vhlib/course/bank.py", recursive=True):
        spec = importlib.util.spec_from_file_location("bank", path)
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
        return True
""",
}

ASKING = {
    "asks_with_much": "import numpy as np\ndef quadruple(x):\n    return double(np.zeros(10**9))",
    "asks_with_objects": "def quadruple(x):\n    return double(object())",
    "asks_with_text": "def quadruple(x):\n    return double('x' * 10**5)",
    "asks_with_a_huge_number": "def quadruple(x):\n    return double(10**4000)",
    "asks_with_names": "def quadruple(x):\n    return double(x, x, x=x, __class__=x)",
    "asks_itself": "def quadruple(x):\n    return quadruple(double(x))",
    "asks_for_ever": "def quadruple(x):\n    while True:\n        x = double(x) * 0",
    "asks_from_threads": """
import threading
def quadruple(x):
    threads = [threading.Thread(target=double, args=(x,)) for _ in range(20)]
    [t.start() for t in threads]
    return x
""",
    "asks_in_many_layers": """
import json, os, struct
def quadruple(x):
    inputs = '{"items":[' * 900 + '{"value":1}' + ']}' * 900
    header = ('{"message":{"kind":"ask","name":"double","names":[],"inputs":[%s,{"items":[]}]},'
              '"arrays":[]}' % inputs).encode()
    os.write(3, struct.pack("<II", len(header), 0) + header)
    return x
""",
    "asks_with_names_in_many_layers": """
import os, struct
def quadruple(x):
    names = '[' * 950 + ']' * 950
    header = ('{"message":{"kind":"ask","name":"double","names":[%s],'
              '"inputs":[{"items":[{"value":1}]},{"items":[]}]},"arrays":[]}' % names).encode()
    os.write(3, struct.pack("<II", len(header), 0) + header)
    return x
""",
    "asks_for_gradients_of_nothing": """
import os, struct
def quadruple(x):
    header = (b'{"message":{"kind":"ask","name":"double","names":[],'
              b'"inputs":[{"items":[{"value":1}]},{"items":[{"value":"w"}]}]},"arrays":[]}')
    os.write(3, struct.pack("<II", len(header), 0) + header)
    return x
""",
}
"""Quadruples that abuse the double they may ask for."""
