# shellcheck shell=bash
# Names from the router itself: what the line's resolver says, as it is, and what is known here; nothing for anybody on the line.
d() { on "${ASKER:-h1}" dig +time=3 +tries=2 "$@"; }
r() { d "@$GATEWAY" "$@"; }
status_of() { sed -n 's/.*status: \([A-Z]*\),.*/\1/p' <<<"$1"; }
knows_resolver() { show status | grep -q "DNS by $RESOLVER"; }
within 10 "the router knows a resolver" knows_resolver

[[ $(r +short www.public.example A) == "$INTERNET" ]] || fail "www.public.example is not there"
[[ $(r +short +noedns WWW.Public.Example AAAA) == "$INTERNET6" ]] || fail "without EDNS and in other letters it is not there"
asked=$(asked www.public.example A)
for _ in 1 2 3; do r +short www.public.example A >/dev/null; done
[[ $(asked www.public.example A) == "$asked" ]] || fail "what is kept is asked for again"
[[ $(status_of "$(r no.public.example A)") == NXDOMAIN ]] || fail "a name that is not there is not NXDOMAIN"
asked=$(asked no.public.example A)
r no.public.example A >/dev/null
[[ $(asked no.public.example A) == "$asked" ]] || fail "that it is not there is not kept"
chain=$(r +noall +answer alias1.public.example A)
(($(grep -c CNAME <<<"$chain") == 12)) || fail "a chain of twelve aliases: $chain"
grep -q "A[[:space:]]*$INTERNET" <<<"$chain" || fail "the chain does not end: $chain"
long=$(r +ignore many.public.example A)
grep -q 'flags: .*tc' <<<"$long" || fail "what is too long for a datagram is not said to be: $long"

# By TCP: what dig asks for when it is told that an answer was cut, several questions of one connection, and what is kept.
whole=$(r +noall +answer +comments many.public.example A)
(($(grep -c "^many" <<<"$whole") > $(grep -c "^many" <<<"$long"))) || fail "the whole of many.public.example does not come by TCP: $whole"
! grep -q 'flags: .*tc' <<<"$whole" || fail "an answer by TCP is cut: $whole"
asked=$(asked many.public.example A)
two=$(d +tcp +keepopen +noall +answer "@$GATEWAY" many.public.example A "@$GATEWAY" WWW.public.example A)
[[ $two == *"$INTERNET"* && $(grep -c "^many" <<<"$two") == $(grep -c "^many" <<<"$whole") ]] || fail "two questions of one connection: $two"
[[ $(asked many.public.example A) == "$asked" ]] || fail "what came by TCP is asked for again"
[[ $(r +tcp +short nas.lab.example A) == 192.168.7.10 ]] || fail "no names of hosts by TCP"
[[ $(r +noall +comments +edns=0 +bufsize=4096 text.public.example TXT) == *'EDNS: version: 0'* ]] || fail "no EDNS in the answer"
r +noall +answer -t TYPE65280 www.public.example >"$LAB/probe" || fail "a type that nobody knows"

# DNS rebinding, and what is excepted from it.
for type in A AAAA; do
    [[ -z $(r +short inside.public.example "$type") ]] || fail "a name of the Internet leads inside ($type)"
done
[[ $(r +short double.public.example A) == 127.0.0.2 ]] || fail "what is allowed is kept back"

# Names of hosts, both ways.
[[ $(r +short nas.lab.example A) == 192.168.7.10 && $(r +short printer A) == 192.168.7.20 ]] || fail "no names of hosts"
[[ $(r +short -x 192.168.7.20) == printer.lab.example. ]] || fail "192.168.7.20 has no name"
[[ $(status_of "$(r -x 192.168.7.99)") == NXDOMAIN && $(status_of "$(r x.local A)") == NXDOMAIN ]] || fail "nobody's names"
! grep -qi 'in-addr.arpa\|\.local' "$LAB/unbound.log" || fail "names of the LAN are asked for outside"

# A domain that another resolver knows about, which is not there: nobody else is asked.
[[ $(status_of "$(d +tries=1 +time=8 "@$GATEWAY" x.elsewhere.example A)") == SERVFAIL ]] || fail "somebody answered for elsewhere.example"
[[ $(asked x.elsewhere.example A) == 0 ]] || fail "the line's resolver was asked about elsewhere.example"

# Nobody on the line, whichever address of ours it asks.
addresses='import json, sys; [print(one["address"]) for one in json.load(sys.stdin)["wan"]["addresses"]]'
for address in $(show status --json | python3 -c "$addresses"); do
    for way in +notcp +tcp; do
        ! on isp timeout 5 dig "$way" +time=1 +tries=1 "@$address" nas.lab.example A | grep -q 'status:' || fail "$address answers on the line ($way)"
    done
done
show status
show counters | grep forwarder
