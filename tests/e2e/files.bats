#!/usr/bin/env bats
# cp, diff, export and commit, of containers that run and that do not.
load lib

setup() { cd "$BATS_TEST_TMPDIR"; }
teardown() {
	[ "$(caisson ps -aq | wc -l)" -le 1 ] || caisson ps -a --format '{{.Names}}' | grep -vx box | xargs -r "$CAISSON" rm -f > /dev/null
}
teardown_file() {
	remove_all
	assert_nothing_left
	e2e_teardown_file
}

# Container "box", with a volume and a directory of the host.
shared_box() {
	mkdir -p "$E2E_DIR/bound"
	box -v "$E2E_DIR/bound:/bound" -v files-volume:/volume
}
tree() { (cd "$1" && find . | sort | tr '\n' ' '); }

@test "cp: where a copy goes to, out of a container" {
	shared_box
	in_box sh -c 'rm -rf /w; mkdir -p /w/dir/sub; cd /w; echo one > dir/a; echo two > dir/sub/b; echo file > f; ln -s dir link; ln -s f flink; ln -s /w/dir abs'
	mkdir there; echo old > exists
	caisson cp box:/w/f new                      # a file to a name
	is "$(cat new)" file
	caisson cp box:w/f there                     # into a directory; a path without a slash is from /
	is "$(cat there/f)" file
	caisson cp box:/w/f exists                   # over a file
	is "$(cat exists)" file
	run -1 caisson cp box:/w/f missing/          # a directory that is not there
	has "$output" 'no such directory'
	run -1 caisson cp box:/w/dir exists          # a directory over a file
	has "$output" 'cannot copy directory'
	caisson cp box:/w/dir newdir                 # a directory to a name
	is "$(tree newdir)" '. ./a ./sub ./sub/b '
	caisson cp box:/w/dir there                  # into one
	is "$(tree there/dir)" '. ./a ./sub ./sub/b '
	mkdir only
	caisson cp box:/w/dir/. only                 # its contents
	is "$(tree only)" '. ./a ./sub ./sub/b '
	caisson cp box:/w/link l                     # a link is one
	is "$(readlink l)" dir
	caisson cp box:/w/link/ followed             # unless a slash follows
	is "$(tree followed)" '. ./a ./sub ./sub/b '
	caisson cp -L box:/w/flink there             # or -L: under the name that was asked for
	is "$(cat there/flink)" file
	caisson cp -L box:/w/abs there
	is "$(cat there/abs/sub/b)" two
	mkdir there/g
	run -1 caisson cp box:/w/f there/g/../g/../../there/f/x
	has "$output" 'not a directory'
	echo x > there/dir/keep; mkdir clash; mkdir clash/f
	run -1 caisson cp box:/w/f clash
	has "$output" "cannot overwrite directory \"$PWD/clash/f\" with non-directory \"$PWD/clash\""
	run -1 caisson cp box:/w/f/ file
	is "$output" 'caisson: /w/f/: not a directory'
	run -1 caisson cp box:/nope .
	is "$output" 'caisson: Could not find the file /nope in container box'
	run -1 caisson cp box:/w/f nowhere/x
	has "$output" 'invalid output path: directory'
	run -1 caisson cp box:/w/f /dev/null
	has "$output" 'got a device'
	run -1 caisson cp box:/w/f box:/w/g
	has "$output" 'copying between containers is not supported'
	run -1 caisson cp here there
	has "$output" 'must specify at least one container source'
	run -1 caisson cp nobody:/x .
	has "$output" 'No such container: nobody'
	# one that is paused stays so
	caisson pause box > /dev/null
	caisson cp box:/w/f paused
	is "$(cat paused)" file
	caisson cp paused box:/w
	status_is box paused
	caisson unpause box > /dev/null
	is "$(in_box cat /w/paused)" file
}

@test "cp: where a copy goes to, into a container" {
	shared_box
	in_box sh -c 'rm -rf /w; mkdir -p /w/there /w/clash/f; cd /w; echo old > exists; ln -s there link; ln -s /w/target dangling'
	mkdir -p dir/sub; echo one > dir/a; echo two > dir/sub/b; echo file > f; ln -s f flink
	caisson cp f box:/w/new
	caisson cp f box:/w/there
	caisson cp ./f box:/w/exists
	caisson cp "$PWD/dir" box:/w/newdir
	caisson cp dir box:/w/link                   # a link to a directory is the directory
	caisson cp dir/. box:/w
	caisson cp f box:/w/dangling                 # one to nothing: where it leads
	caisson cp -L flink box:/w
	caisson cp flink box:/w/kept
	run -0 in_box sh -c 'cd /w; cat new there/f exists newdir/sub/b there/dir/sub/b sub/b target flink; readlink kept'
	is "$(echo "$output" | tr '\n' ' ')" 'file file file two two two file file f '
	run -1 caisson cp f box:/w/missing/
	has "$output" 'no such directory'
	run -1 caisson cp dir box:/w/exists
	has "$output" 'cannot copy directory'
	run -1 caisson cp f box:/w/clash
	has "$output" 'cannot overwrite directory "/w/clash/f" with non-directory'
	run -1 caisson cp f box:/w/no/such/dir
	is "$output" 'caisson: Could not find the file /w/no/such in container box'
	run -1 caisson cp nothing box:/w
	has "$output" "nothing: no such file or directory"
	run -1 caisson cp - box:/w/new < /dev/null
	has "$output" 'destination "box:/w/new" must be a directory'
	# into what is mounted, which is the host's or a volume's
	caisson cp f box:/bound/
	caisson cp f box:/volume/
	is "$(cat "$E2E_DIR/bound/f")" file
	is "$(in_box cat /volume/f)" file
	caisson cp box:/etc/hosts - | tar xO | grep -q "$(in_box hostname)"
}

@test "cp: attributes, links, holes, devices, and archives" {
	shared_box
	in_box sh -c 'rm -rf /w /back; mkdir /w /back; cd /w; echo a > a; ln a b; mkfifo p; mknod dev c 1 3; chown 12:34 a; chmod 4751 a; touch -d "2001-02-03 04:05:06" a; mkdir d; chmod 1777 d; touch -d "2002-02-02 02:02:02" d'
	caisson cp box:/w - > t.tar
	run -0 tar tvf t.tar --full-time --numeric-owner
	matches "$output" '-rwsr-x--x 12/34 +2 2001-02-03 04:05:06 w/a'
	matches "$output" 'hrwsr-x--x 12/34 .* w/b link to w/a'
	matches "$output" 'prw.* w/p'
	matches "$output" 'crw.* 1,3 .* w/dev'
	matches "$output" 'drwxrwxrwt .* 2002-02-02 02:02:02 w/d/'
	caisson cp box:/w out                        # the caller's, but with -a
	is "$(stat -c '%a %u:%g %Y' out/a)" "4751 0:0 981173106"
	is "$(stat -c %i out/a)" "$(stat -c %i out/b)"
	is "$(stat -c '%F %t,%T' out/dev)" 'character special file 1,3'
	is "$(stat -c %Y out/d)" "$(date -d 2002-02-02T02:02:02Z +%s)"
	caisson cp -a box:/w kept
	is "$(stat -c %u:%g kept/a)" 12:34
	# and in: root's, but with -a, or as an archive says
	caisson cp kept box:/back/plain
	caisson cp -a kept box:/back/archive
	caisson cp - box:/back < t.tar
	gzip < t.tar | caisson cp - box:/back/plain
	run -0 in_box sh -c 'cd /back; stat -c "%a %u:%g %Y %h" plain/a archive/a w/a plain/w/a; stat -c %F w/p w/dev'
	is "$(echo "$output" | tr '\n' ' ')" '4751 0:0 981173106 2 4751 12:34 981173106 2 4751 12:34 981173106 2 4751 12:34 981173106 2 fifo character special file '
	# a file of which most is a hole stays one, and what a user has noted of a file comes along
	truncate -s 1G sparse; echo begin | dd of=sparse conv=notrunc status=none; echo end | dd of=sparse bs=1 seek=900000000 conv=notrunc status=none
	python3 -c 'import os; os.setxattr("sparse", "user.note", b"kept"); os.mkdir("way"); os.rename("sparse", "way/sparse")'
	caisson cp way box:/back/
	[ "$(in_box du -k /back/way/sparse | cut -f 1)" -lt 100 ]
	caisson cp box:/back/way again
	[ "$(du -k again/sparse | cut -f 1)" -lt 100 ]
	cmp <(dd if=way/sparse bs=4M skip=214 status=none | sha256sum) <(dd if=again/sparse bs=4M skip=214 status=none | sha256sum)
	is "$(python3 -c 'import os; print(os.getxattr("again/sparse", "user.note").decode())')" kept
	in_box rm -rf /back
}

@test "cp: what is read-only is refused, and a container cannot lead it elsewhere" {
	shared_box
	echo secret > /var/tmp/caisson-files-$$; echo f > f
	caisson run -d --name ro --read-only -v files-volume:/v:ro --tmpfs /t "$IMAGE" sleep 1000 > /dev/null
	run -1 caisson cp f ro:/root/
	is "$output" 'caisson: container rootfs is marked read-only'
	run -1 caisson cp f ro:/v/
	is "$output" 'caisson: mounted volume is marked read-only'
	caisson rm -f ro > /dev/null
	# links that lead out of the root lead into it, and so do those that come and go meanwhile
	in_box sh -c "rm -rf /w; mkdir -p /w/real; cd /w; ln -s ../../../../../../var/tmp up; ln -s /var/tmp abs; echo mine > real/x; mkdir /var/tmp; echo mine > /var/tmp/x"
	run -1 caisson cp "box:/w/up/caisson-files-$$" .
	has "$output" 'Could not find the file'
	caisson cp box:/w/abs/ got
	is "$(ls got)" x
	caisson cp f box:/w/abs
	is "$(in_box ls /var/tmp | tr '\n' ' ')" 'f x '
	[ ! -e /var/tmp/f ]
	caisson exec -d box sh -c 'cd /w; while :; do mv real r2; ln -s /../../../../../../var/tmp real; rm real; mv r2 real; done'
	for i in 1 2 3 4 5; do
		caisson cp f box:/w/real/ > /dev/null 2>&1 || true
		caisson cp "box:/w/real/caisson-files-$$" "swap$i" > /dev/null 2>&1 || true
	done
	[ ! -e /var/tmp/f ]
	is "$(ls -d swap* 2> /dev/null)" ''
	rm "/var/tmp/caisson-files-$$"
	caisson rm -f box > /dev/null
}

@test "diff and export: what has changed, and all of it" {
	caisson run -d --name changed -v files-volume:/volume -v /etc/hosts:/mounted:ro --tmpfs /scratch "$IMAGE" sleep 1000 > /dev/null
	caisson exec changed sh -c 'echo new > /root/new; mkdir -p /made/deep; touch /made/deep/x; rm -r /etc/passwd; chmod 700 /home; echo x >> /etc/group; touch -r /etc/shadow /tmp/t; cat /etc/shadow > /dev/null; : >> /etc/shadow; touch /scratch/ghost /volume/ghost /dev/ghost'
	run -0 caisson diff changed
	for line in 'C /etc' 'C /etc/group' 'D /etc/passwd' 'C /home' 'A /made' 'A /made/deep' 'A /made/deep/x' 'A /mounted' 'C /root' 'A /root/new' 'A /scratch' 'C /tmp' 'A /tmp/t' 'A /volume'; do
		echo "$line"
	done > expected
	is "$output" "$(cat expected)"
	caisson export changed > running.tar
	caisson stop -t 0 changed > /dev/null
	run -0 caisson diff changed
	is "$output" "$(cat expected)"
	caisson export -o stopped.tar changed
	is "$(field changed .State.Status)" exited
	tar tvf running.tar --full-time --numeric-owner | sort -k 6 > running
	tar tvf stopped.tar --full-time --numeric-owner | sort -k 6 > stopped
	cmp running stopped
	is "$(tar tf stopped.tar | grep -E '^(etc/passwd|made/deep/x|proc/|dev/)|ghost' | tr '\n' ' ')" 'dev/ made/deep/x proc/ '
	is "$(tar xOf stopped.tar mounted | wc -c)" 0
	# it is an image's root
	caisson import stopped.tar exported > /dev/null
	is "$(caisson run --rm exported cat /root/new)" new
	caisson rmi exported > /dev/null
	run -1 caisson export -o nowhere/x.tar changed
	has "$output" 'failed to export container: invalid output path: directory'
	command -v script > /dev/null || return 0
	run -1 script -qec "$CAISSON export changed" /dev/null
	has "$output" 'cowardly refusing to save to a terminal'
}

@test "cp and export: of one that does not run, several at once, and killed" {
	caisson create --name still -v files-volume:/volume "$IMAGE" sh > /dev/null
	echo f > f
	caisson cp f still:/root/one & a=$!
	caisson cp f still:/volume/two & b=$!
	caisson cp still:/bin out & c=$!
	wait $a && wait $b && wait $c
	[ "$(ls out | wc -l)" -gt 100 ]
	is "$(field still .State.Status)" created
	is "$(caisson cp still:/root/one - | tar xO)" f
	# one whose reader stands still is killed: the container is free again, and nothing is left
	mkfifo slow
	caisson export still > slow & killed=$!
	exec 5< slow
	head -c 10000 <&5 > /dev/null
	kill -9 "$killed"
	exec 5<&-
	wait "$killed" || true
	caisson start -a still
	is "$(caisson cp still:/volume/two - | tar xO)" f
	# into a full disk: an error that says so, and what was there is still there
	mkdir small; mount -t tmpfs -o size=64k none small
	echo before > small/busybox
	run -1 caisson cp still:/bin/busybox small
	umount_later=$(cat small/busybox; ls -A small)
	umount small
	has "$output" 'No space left on device'
	is "$umount_later" "before
busybox"
	caisson rm still > /dev/null
}

@test "export: who is killed leaves nobody who goes on with the zeros of a hole" {
	local killed child
	caisson run -d --name holes "$IMAGE" sh -c 'dd if=/dev/zero of=/hole bs=1 count=1 seek=900000000000; sleep 1000' > /dev/null
	eventually 20 caisson exec holes test -s /hole
	"$CAISSON" export holes > /dev/null & killed=$!
	eventually 20 pgrep -P "$killed" -x caisson-fetch
	child=$(pgrep -P "$killed" -x caisson-fetch)
	sleep 1
	kill -9 "$killed"
	wait "$killed" || true
	eventually 5 eval '! kill -0 "$child"'
	caisson rm -f holes > /dev/null
}

@test "commit: an image of what a container has changed, which stands still meanwhile" {
	caisson run -d --name works -e A=b -w /root "$IMAGE" sh -c 'i=0; while :; do i=$((i + 1)); echo $i > /t; mv /t /first; echo $i > /t; mv /t /root/second; done' > /dev/null
	caisson exec works sh -c 'rm /etc/passwd; mkdir -m 1777 /made; echo made > /made/x; chown 7:8 /made/x; ln /made/x /made/y; head -c 3000000 /dev/zero > /made/big'
	run -0 caisson commit -a 'A. Author' -m 'a message' -c 'ENV X=y' -c 'LABEL l=m' -c 'CMD ["cat", "/made/x"]' -c 'ONBUILD RUN true' works made:one
	matches "$output" '^sha256:[0-9a-f]{64}$'
	id=$output
	is "$(caisson events --since 1m --until 0s --filter event=commit --filter container=works --format '{{.Actor.Attributes.imageID}}')" "$id"
	# it goes on
	before=$(caisson exec works cat /root/second)
	eventually 5 eval '[ "$(caisson exec works cat /root/second)" != "$before" ]'
	run -0 caisson image inspect --format '{{.Id}} {{.Author}} {{.Comment}} {{json .Config.Env}} {{json .Config.Cmd}} {{json .Config.Labels}} {{json .Config.OnBuild}} {{.Config.WorkingDir}} {{len .RootFS.Layers}}' made:one
	is "$output" "$id A. Author a message [\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"A=b\",\"X=y\"] [\"cat\",\"/made/x\"] {\"l\":\"m\"} [\"RUN true\"] /root 2"
	run -0 caisson history --no-trunc --format '{{.CreatedBy}}|{{.Comment}}' made:one
	matches "${lines[0]}" '^sh -c i=0.*\|a message$'
	[ "$MODE" = hyperv ] || is "$(caisson run --rm made:one)" made
	run -0 caisson run --rm made:one sh -c 'ls /etc/passwd 2>&1; stat -c "%a %u:%g %h" /made /made/x; wc -c < /made/big; [ $(($(cat /first) - $(cat /root/second))) -le 1 ] && echo together'
	is "$(echo "$output" | tr '\n' ' ')" 'ls: /etc/passwd: No such file or directory 1777 0:0 2 644 7:8 2 3000000 together '
	# of one that does not run, and without a change
	caisson rm -f works > /dev/null
	caisson create --name still made:one > /dev/null
	caisson commit -p=false still made:two > /dev/null
	is "$(caisson image inspect --format '{{len .RootFS.Layers}}' made:two)" 2
	[ "$MODE" = process ] || return 0
	run -1 caisson commit -c 'NOPE x' still
	has "$output" 'unknown instruction: NOPE'
	run -1 caisson commit still 'No/Name'
	has "$output" 'invalid reference format'
	# one that is killed meanwhile leaves nothing
	head -c 60000000 /dev/zero > big
	caisson cp big still:/
	caisson commit still half > /dev/null &
	sleep 0.2
	kill -9 $! 2> /dev/null || true
	wait $! || true
	caisson start -a still > /dev/null
	caisson rm still > /dev/null
	caisson images -q --no-trunc | sort -u | xargs "$CAISSON" rmi -f > /dev/null 2>&1 || true
	caisson pull -q "$IMAGE" > /dev/null
	is "$(find "$CAISSON_ROOT/layers" -mindepth 1 -maxdepth 1 -name '[0-9a-f]*' | wc -l)" 1
}
