"""`python -m libchat` is the `libchat` program that was installed with this package."""

import os
import sys
import sysconfig


def _program():
    folders = [sysconfig.get_path("scripts"), os.path.dirname(sys.executable)]
    folders.append(sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")))
    programs = [os.path.join(folder, "libchat") for folder in folders]
    for program in programs:
        if os.access(program, os.X_OK):
            return program
    sys.exit(f"libchat: no program at {' nor '.join(programs)}: install the package again")


if __name__ == "__main__":
    os.execv(_program(), ["libchat", *sys.argv[1:]])
