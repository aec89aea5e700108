"""How fast and how large: policies and pruners timed, memory counted."""
