# shellcheck shell=bash
# A station that is no router advertises a prefix for ever, once: the router's stays (RFC 6724 5 rule 5.5).
# fails today: a stranger's prefix is used ~ ^[0-9]+ of 130 pings came back from second 20
line_judged one-advertisement
