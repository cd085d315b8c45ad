"""What systemd does for a socket unit: keeps a listener, and starts a program that inherits it. A line `start` on stdin starts
another process, `end` ends the first with SIGTERM and waits for it, the end of stdin ends all. Prints the port first, and the
exit code of what has ended."""

import signal
import socket
import subprocess
import sys

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(1024)
print(f"port {listener.getsockname()[1]}", flush=True)
processes = []
for line in sys.stdin:
    if line.strip() == "start":
        # The program expects it as the descriptor 3, and its own process id in the environment.
        script = f'exec 3<&{listener.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0"'
        arguments = ["bash", "-c", script, sys.argv[1]]
        processes.append(subprocess.Popen(arguments, pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL))
    else:
        process = processes.pop(0)
        process.send_signal(signal.SIGTERM)
        print(f"exit {process.wait()}", flush=True)
for process in processes:
    process.kill()
    process.wait()
