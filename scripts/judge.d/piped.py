"""hikyaku's packet path as a process that is asked frame by frame (dataplane/examples/piped_router.rs)."""

import struct
import subprocess

LAN, WAN = 0, 1


class PipedRouter:
    def __init__(self, program, mode):
        self.process = subprocess.Popen([program, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.verdicts = ""

    def _read(self, length):
        data = self.process.stdout.read(length)
        if len(data) != length:
            raise RuntimeError(f"the router ended: {self.process.wait()}")
        return data

    def _ask(self, side, length, frame=b""):
        self.process.stdin.write(struct.pack("<BI", side, length) + frame)
        self.process.stdin.flush()
        out = []
        while True:
            side, length = struct.unpack("<BI", self._read(5))
            content = self._read(length)
            if side == 255:
                self.verdicts = content.decode()
                return out
            out.append((side, content))

    def frame(self, side, frame):
        """What leaves because of it: side and frame each. `verdicts` says what became of it."""
        return self._ask(side, len(frame), frame)

    def wait(self, milliseconds):
        return self._ask(2, milliseconds)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
