# Clones of one template are different machines: no two are equal in anything random, each has its own names and addresses, and its clock is right.
load lib

setup_file() {
	e2e_setup_file
	: "${E2E_CLONES:=10}"
	export E2E_CLONES
	mkdir "$E2E_DIR/image"
	gcc -O1 -fPIE -static-pie -o "$E2E_DIR/image/identity" "$BATS_TEST_DIRNAME/identity.c" -lssl -lcrypto 2> "$E2E_DIR/gcc.log" || cat "$E2E_DIR/gcc.log"
	tar -C "$E2E_DIR/image" -c . | caisson import - identity > /dev/null
}

teardown() {
	remove_all
	assert_nothing_left
}

# E2E_CLONES of them, ten at a time.
@test "no two clones are alike: random bytes, TLS, UUIDs, boot id, addresses of programs, names" {
	local i what pids=
	for i in $(seq "$E2E_CLONES"); do
		"$CAISSON" run --rm identity /identity > "$BATS_TEST_TMPDIR/out.$i" 2> "$BATS_TEST_TMPDIR/err.$i" &
		pids+=" $!"
		[ $((i % 10)) != 0 ] && [ "$i" != "$E2E_CLONES" ] || { wait $pids; pids=; }
	done
	is "$(cat "$BATS_TEST_TMPDIR"/err.*)" ''
	for what in text stack heap mmap vdso canary urandom getrandom tls uuid boot host; do
		is "$(cat "$BATS_TEST_TMPDIR"/out.* | grep "^$what .*[0-9a-f]" | sort -u | wc -l)" "$E2E_CLONES" || fail "$(grep -h "^$what" "$BATS_TEST_TMPDIR"/out.*)"
	done
	# an address of the network, and the card's with it, is free again after a container has gone
	is "$(sort -u "$BATS_TEST_TMPDIR/out.1" "$BATS_TEST_TMPDIR/out.2" | grep -c '^card ..:..:..:..:..:..$')" 2
}

@test "the clock of a clone is right from the first moment on" {
	local i right=0
	for i in 1 2 3; do
		# the goal of 10 ms, with three times its slack
		run python3 "$BATS_TEST_DIRNAME/clock.py" 30 2 2 "$CAISSON" run --rm -i identity /identity clock
		echo "# the clone's clock: $(tr '\n' ';' <<< "$output")" >&3
		[ "$status" != 0 ] || right=$((right + 1))
	done
	# the time is asked for once: a host that does not answer for a moment makes one wrong, and not all
	[ $right -ge 2 ]
}

@test "without random numbers for it no clone starts" {
	cat > "$BATS_TEST_TMPDIR/dry.c" <<- 'END'
		#include <errno.h>
		#include <sys/syscall.h>
		#include <unistd.h>
		/* what a start asks for has this length, ids have others */
		long getrandom(void *p, unsigned long n, unsigned flags);
		long getrandom(void *p, unsigned long n, unsigned flags)
		{
		    if (n == 64) {
		        errno = EIO;
		        return -1;
		    }
		    return syscall(SYS_getrandom, p, n, flags);
		}
	END
	gcc -shared -fPIC -o "$BATS_TEST_TMPDIR/dry.so" "$BATS_TEST_TMPDIR/dry.c"
	run -125 --separate-stderr env LD_PRELOAD="$BATS_TEST_TMPDIR/dry.so" "$CAISSON" run --name dry identity /identity
	is "$output" ''
	has "$stderr" 'random numbers for the VM'
	is "$(field dry .State.Status)" created
	caisson rm dry > /dev/null
}
