# shellcheck shell=bash
# A station that is no router advertises a prefix for ever, once: the router's stays (RFC 6724 5 rule 5.5).
line_judged one-advertisement
