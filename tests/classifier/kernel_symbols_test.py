#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No instruction set's code leaks into another's object: a kernel defines its entry and nothing
that a linker could merge with the same inline function of a narrower kernel.
Usage: kernel_symbols_test.py LIBRARY..."""
import subprocess
import sys


def main() -> int:
    failed = 0
    for library in sys.argv[1:]:
        listing = subprocess.run(
            ["nm", "--demangle", "--defined-only", library], capture_output=True, text=True, check=True
        ).stdout
        rows = [line.split(maxsplit=2) for line in listing.splitlines() if line.count(" ") >= 2]
        # Upper case and u, v, w: visible to the linker. Lower case: the object's own.
        shared = [name for _, kind, name in rows if kind.isupper() or kind in "uvw"]
        if len(shared) != 1 or not shared[0].endswith("Kernel"):
            failed += 1
            print(f"{library}: shares {', '.join(shared)}; only its kernel entry may be visible")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
