# shellcheck shell=bash
# The AFTR's name gets another address: the kernel's own AFTR, which is not of our making.
internet || fail "no Internet to begin with"
kernel_aftr "$(near_end)" "$NETWORK" || skip "this kernel is no AFTR: it lacks seg6"
isp_path via "$KERNEL_AFTR"
isp_name "$KERNEL_AFTR"
moved() { internet && uses "$KERNEL_AFTR"; }
within $((AFTR_TTL + 15)) "the tunnel goes to the new address" moved
within 5 "the Internet answers" internet
downloads large || fail "the large file did not come whole by the kernel's AFTR"
probe 1460 -M 'do' || fail "1460 bytes with DF did not pass the kernel's AFTR"
