# shellcheck shell=bash
# M, and nothing is delegated: AFTR and resolver are learned by Information-request (RFC 8415 18.2.6).
line_judged managed-without-prefix
