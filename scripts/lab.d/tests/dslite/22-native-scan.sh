# shellcheck shell=bash
# Hosts with open ports are asked from the Internet, every port by TCP and UDP: nothing answers, all is counted; what they ask is answered (RFC 6092).
addresses=()
for host in h1 h2; do kernel_host "$host"; done
for host in h1 h2; do
    within 10 "$host has an address" has_slaac "$host" 2001:db8:1012:3401:
    within 10 "the Internet answers $host by IPv6" internet6 "$host"
    mapfile -t -O "${#addresses[@]}" addresses < <(slaac "$host")
done
((${#addresses[@]} >= 2)) || fail "there are ${#addresses[@]} addresses to ask"
spawn open6 h2 python3 -u -m http.server --bind :: --directory "$LAB/www" 80
listens() { on h2 ss -Hlnt 'sport = :80' | grep -q .; }
within 10 "h2 has an open port" listens
# Who is not kept from it finds what there is.
target=$(slaac h2 | head -n 1)
inside=$(scan6_all h1 79-81 "$target")
for answer in "tcp 80 open" "tcp 81 closed" "udp 79 closed" "it answers pings"; do
    grep -qx "$target $answer" <<<"$inside" || fail "from inside $target does not say '$answer': $inside"
done
before=$(drops ipv6-filtered)
found=$(scan6_all inet "${addresses[@]}")
questions=${found##*$'\n'}
[[ $found == "$questions" ]] || fail "from outside: ${found%$'\n'*}"
counted=$(($(drops ipv6-filtered) - before))
((questions >= 2 * 65535 * ${#addresses[@]})) || fail "only $questions questions"
# Queues of a machine that is busy may lose some on the way.
((counted >= questions / 2)) || fail "of $questions questions $counted were counted"
say "$questions questions to ${#addresses[@]} addresses, $counted counted as ipv6-filtered"
own=$(scan6_all inet 1-1024 2001:db8:1012:3401::1 | grep -v '^[0-9]*$') || true
[[ -z $own || $own == "2001:db8:1012:3401::1 it answers pings" ]] || fail "of the router's own address: $own"
for host in h1 h2; do internet6 "$host" || fail "the Internet does not answer $host any more"; done
stop open6
for host in h1 h2; do kernel_host_off "$host"; done
