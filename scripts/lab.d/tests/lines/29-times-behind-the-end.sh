# shellcheck shell=bash
# T1 and T2 behind the end of the lease: it is renewed in time all the same (RFC 8415 14.2).
# fails today: T1 and T2 are believed ~ ^[0-9]+ of 45 pings came back from second 15
line_judged times-behind-the-end
