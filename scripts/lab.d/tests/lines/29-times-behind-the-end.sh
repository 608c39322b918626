# shellcheck shell=bash
# T1 and T2 behind the end of the lease: it is renewed in time all the same (RFC 8415 14.2).
line_judged times-behind-the-end
