# Images and workloads that look for the host. What one mode does not show, as the guest's kernel is between, is skipped there with the reason.
load lib

# evil IMAGE COMMAND...: imports an image of busybox, changed by shell commands in its root
evil() {
	local name=$1
	local dir=$E2E_DIR/evil-$name
	shift
	mkdir -p "$dir/bin" "$dir/etc"
	cp /bin/busybox "$dir/bin/"
	for applet in sh cat ls ln mkdir touch stat mount mknod dd id readlink sleep chmod cp sha256sum; do ln -s busybox "$dir/bin/$applet"; done
	(cd "$dir" && eval "$1")
	shift
	tar -C "$dir" -c . | "$CAISSON" import "$@" - "evil/$name" > /dev/null
	rm -rf "$dir"
}

setup_file() {
	e2e_setup_file
	mkdir -p "$E2E_DIR/victim" "$E2E_DIR/share"
	echo untouched > "$E2E_DIR/victim/file"
	echo shared > "$E2E_DIR/share/f"
	export VICTIM=$E2E_DIR/victim
	evil links 'mkdir a; ln -s /nowhere/at/all a/dangling; ln -s "$VICTIM/new" etc/hosts; ln -s "../../../../../../../../..$VICTIM/new2" etc/resolv.conf
		ln -s "$VICTIM" tmpdir; ln -s "$VICTIM" work; ln -s "$VICTIM" sbin'
	evil proc 'ln -s /etc proc'
	evil dev 'ln -s "$VICTIM" dev'
	evil volproc : --change 'VOLUME /proc/fs'
	evil volalias 'ln -s /proc alias' --change 'VOLUME /alias'
	evil volsys 'mkdir -p sys/kernel; echo image > sys/kernel/mine' --change 'VOLUME /sys/kernel'
	evil shebang 'printf "#!/proc/self/exe\n" > run; chmod 755 run'
	evil passwd 'busybox mkfifo etc/passwd'
	sha256sum "$(dirname "$CAISSON")"/caisson-* > "$E2E_DIR/programs" 2> /dev/null || true
}

victim_untouched() {
	run ls -A "$VICTIM"
	is "$output" file
	is "$(cat "$VICTIM/file")" untouched
}

@test "links of the image on every path that is mounted on or made are resolved inside the root" {
	run -0 --separate-stderr caisson run --rm --network none --init --tmpfs /tmpdir/t -w /work/here -v "$E2E_DIR/share:/a/dangling" evil/links \
		sh -c 'cat /nowhere/at/all/f; readlink /proc/self/cwd; cat /etc/hosts | grep -c localhost'
	has "$output" shared
	has "$output" "$VICTIM/here"
	victim_untouched
	[ ! -e /nowhere ]
}

@test "/proc or /dev as a link is an error, and nothing is left" {
	for image in proc dev; do
		run -125 --separate-stderr caisson run --rm --network none evil/$image /bin/busybox true
		has "$stderr" "/$image in the root is not a directory"
	done
	victim_untouched
}

@test "nothing of the image or the user is mounted over /proc" {
	for image in volproc volalias; do
		run -125 --separate-stderr caisson run --rm --network none evil/$image sh -c :
		has "$stderr" 'cannot be mounted because it is inside /proc'
	done
	run -125 --separate-stderr caisson run --rm --network none -v "$E2E_DIR/share:/proc/sys" "$IMAGE" true
	has "$stderr" 'cannot be mounted because it is inside /proc'
	run -125 --separate-stderr caisson run --rm --network none --tmpfs /proc "$IMAGE" true
	has "$stderr" 'cannot be mounted because it is inside /proc'
}

@test "a volume is filled from the image, not from what the kernel shows there" {
	run -0 caisson run --rm --network none evil/volsys ls /sys/kernel
	is "$output" mine
}

@test "an interpreter /proc/self/exe is no way to the programs of the host" {
	run -127 caisson run --rm --network none evil/shebang /run
	run caisson run --rm --network none --entrypoint /proc/self/exe "$IMAGE"
	[ "$status" -ne 0 ] || fail "it ran"
	caisson run -d --network none --name self evil/shebang sleep 1000 > /dev/null
	run -127 caisson exec self /run
	run caisson exec self sh -c 'for p in /proc/[0-9]*/exe; do (echo x > $p) 2> /dev/null && echo written; done; true'
	hasnt "$output" written
	caisson rm -f self > /dev/null
	run -0 sha256sum --quiet -c "$E2E_DIR/programs"
}

@test "a passwd file that never ends is an error" {
	run --separate-stderr caisson run --rm --network none --user bob evil/passwd sh -c :
	[ "$status" -ne 0 ] || fail "it ran"
	has "$stderr" '/etc/passwd'
}

@test "--user at its edges" {
	for user in -1 4294967295 2147483648 root:nosuch 'a b' 0:-1; do
		run --separate-stderr caisson run --rm --network none --user "$user" "$IMAGE" true
		[ "$status" -ge 125 ] || fail "--user '$user' ran"
	done
	run -0 caisson run --rm --network none --user 2147483647:2147483647 "$IMAGE" sh -c 'id -u; id -g'
	is "$output" $'2147483647\n2147483647'
	run -0 caisson run --rm --network none --user :1234 "$IMAGE" sh -c 'id -u; id -g'
	is "$output" $'0\n1234'
}

@test "what the command's caller has open reaches neither the workload nor what holds it" {
	local pid
	exec 61< "$VICTIM/file" 250< "$VICTIM/file"
	caisson run -d --network none --name open -v "$E2E_DIR/share:/s" "$IMAGE" sleep 1000 > /dev/null
	run -0 caisson exec open sh -c 'ls -l /proc/1/fd /proc/self/fd'
	exec 61<&- 250<&-
	hasnt "$output" victim
	for pid in $(monitor_of open) $(descendants "$(monitor_of open)"); do
		run ls -l "/proc/$pid/fd"
		hasnt "$output" "$VICTIM"
	done
	caisson rm -f open > /dev/null
}

@test "a tree deeper than there may be descriptors goes with its container" {
	skip_in hyperv "the tree is on the guest's disk, which goes as one file"
	run -0 caisson run --name deep --network none "$IMAGE" sh -c 'i=0; while [ $i -lt 1500 ]; do mkdir d && cd d || exit 1; i=$((i + 1)); done'
	remember_ids
	caisson rm deep > /dev/null
	assert_nothing_left
}

@test "a read-only share stays so for a guest that mounts it anew, and links in shares lead nowhere" {
	skip_in process "--privileged has the host's mounts in its hands there"
	ln -sfn "$VICTIM/file" "$E2E_DIR/share/abs"
	ln -sfn ../victim/file "$E2E_DIR/share/rel"
	run caisson run --rm --network none --privileged -v "$E2E_DIR/share:/ro:ro" "$IMAGE" \
		sh -c 'cat /ro/abs /ro/rel; mount -o remount,rw /ro; echo x > /ro/f; rm -f /ro/f; touch /ro/new; mknod /ro/disk b 7 0; cat /ro/f'
	rm "$E2E_DIR/share/abs" "$E2E_DIR/share/rel"
	hasnt "$output" untouched
	has "$output" shared
	is "$(ls "$E2E_DIR/share")" f
	is "$(cat "$E2E_DIR/share/f")" shared
}

@test "setuid programs and devices on a share are as in the other mode" {
	run caisson run --rm --network none -v "$E2E_DIR/share:/s" "$IMAGE" \
		sh -c 'mknod /s/disk b 7 0; dd if=/s/disk of=/dev/null count=1 2> /dev/null && echo read; cp /bin/busybox /s/su; chmod 4755 /s/su; stat -c %a /s/su'
	hasnt "$output" read
	has "$output" 4755
	rm -f "$E2E_DIR/share/disk"
	# busybox's su looks whether it is root first
	run -1 caisson run --rm --network none --user 1000 -v "$E2E_DIR/share:/s" "$IMAGE" /s/su nosuch
	has "$output" 'unknown user'
	run -1 caisson run --rm --network none --user 1000 --security-opt no-new-privileges -v "$E2E_DIR/share:/s" "$IMAGE" /s/su nosuch
	has "$output" 'must be suid'
	rm -f "$E2E_DIR/share/su"
}

@test "a name of one's own does not hide a process from top" {
	caisson run -d --network none --name odd "$IMAGE" sh -c 'printf "a\nb" > /proc/self/comm; sleep 1000 & wait' > /dev/null
	# the titles, the shell and its child
	eventually 10 sh -c "test \"\$('$CAISSON' top odd | wc -l)\" = 3"
	caisson rm -f odd > /dev/null
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
}
