# Memory of virtual machines: what a guest frees goes back to the host, of clones and of others; the template and the disks stay right.
load lib

teardown() {
	remove_all
	assert_nothing_left
}

qemu() { helpers_of box qemu; }

# What the VM's processes have of the host's memory, in MB; pages that several map count in parts, so that a template's are no more when nobody else came.
host_memory() {
	local pid sum=0 kb
	for pid in $(helpers_of box qemu) $(helpers_of box virtiofsd); do
		kb=$(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup" 2> /dev/null)
		sum=$((sum + ${kb:-0}))
	done
	echo $((sum / 1000))
}

below() { [ "$(host_memory)" -lt "$1" ]; }
above() { [ "$(host_memory)" -gt "$1" ]; }

# The deadline is three times the goal of 5 s.
falls_to() { # falls_to MB
	local began=$SECONDS
	eventually 15 below "$1" || fail "still $(host_memory) MB, not below $1"
	echo "# back after $((SECONDS - began)) s" >&3
}

# A process of the guest that has 400 MB for a while.
uses_and_frees() {
	local before client
	before=$(host_memory)
	"$CAISSON" exec box sh -c 'dd if=/dev/zero bs=400M count=1 2> /dev/null | read x < /gate' > /dev/null &
	client=$!
	eventually 30 above $((before + 380))
	caisson exec box sh -c 'echo > /gate'
	wait $client
	falls_to $((before + 100))
}

start() { # start [OPTIONS...]
	caisson run -d --name box "$@" "$IMAGE" sh -c 'mkfifo /gate; exec sleep 100000' > /dev/null
	eventually 5 caisson exec box test -p /gate
}

is_clone() { grep -qzx -e -incoming "/proc/$(qemu)/cmdline"; }
filters() { sed -n 's/^Seccomp_filters:[[:space:]]*//p' "/proc/$(qemu)/status"; }

@test "400 MB used and freed in a clone are the host's again; the template is as it was" {
	local name sum
	start
	is_clone
	name=$(caisson template ls --format '{{.Name}} {{.Held}}' | sed -n 's/ yes$//p')
	sum=$(python3 "$BATS_TEST_DIRNAME/sealed.py" hold "$CAISSON_RUN/template/$name.sock")
	uses_and_frees
	is "$(python3 "$BATS_TEST_DIRNAME/sealed.py" hold "$CAISSON_RUN/template/$name.sock")" "$sum"
	is "$(caisson run --rm "$IMAGE" echo ok)" ok
}

@test "400 MB used and freed in a VM that has booted are the host's again" {
	start --fresh-boot
	! is_clone
	uses_and_frees
}

@test "400 MB used and freed in a VM with a share are the host's again, and the share works" {
	mkdir "$BATS_TEST_TMPDIR/share"
	echo before > "$BATS_TEST_TMPDIR/share/file"
	start -v "$BATS_TEST_TMPDIR/share:/mnt"
	uses_and_frees
	is "$(caisson exec box cat /mnt/file)" before
	caisson exec box sh -c 'head -c 2000000 /dev/urandom > /mnt/big; sync'
	is "$(caisson exec box sha256sum /mnt/big | cut -d " " -f 1)" "$(sha256sum "$BATS_TEST_TMPDIR/share/big" | cut -d " " -f 1)"
}

@test "page cache and tmpfs: what removed files held is the host's again" {
	local before file
	start --shm-size 400m
	before=$(host_memory)
	for file in /file /dev/shm/file; do
		caisson exec box dd if=/dev/zero of=$file bs=1M count=300 2> /dev/null
		above $((before + 250)) || fail "$file: $(host_memory) MB"
		caisson exec box rm $file
		falls_to $((before + 100))
	done
}

@test "memory that went back can be used again, and has what is written to it" {
	start
	uses_and_frees
	local i sums
	for i in 1 2; do
		sums=$(caisson exec box sh -c 'head -c 20000000 /dev/urandom > /dev/shm/a; cp /dev/shm/a /b; sha256sum < /dev/shm/a; sha256sum < /b; rm /b')
		is "$(echo "$sums" | sort -u | wc -l)" 1
		sleep 3
	done
	# what a program gets is zeros, whatever the host shows there
	is "$(caisson exec box sh -c 'dd if=/dev/zero bs=200M count=1 2> /dev/null | tr -d "\0" | wc -c')" 0
}

@test "stats: the host's figure rises and falls with the workload" {
	start --shm-size 400m
	mib() { caisson stats --no-stream --format '{{.HostMem}}' box | sed -n 's/^\([0-9]*\)[0-9.]*MiB$/\1/p'; }
	lower() { [ "$(mib)" -lt "$1" ]; }
	local before
	before=$(mib)
	[ "$before" -lt 150 ] || fail "$before MiB, as if it had the template's"
	caisson exec box dd if=/dev/zero of=/dev/shm/file bs=1M count=300 2> /dev/null
	[ "$(mib)" -gt $((before + 250)) ] || fail "$(mib) MiB"
	caisson exec box rm /dev/shm/file
	eventually 15 lower $((before + 100))
}

@test "-m is the ceiling: who wants more is killed, and the host's figure stays below the VM's" {
	start -m 100m
	run -137 caisson exec box tail /dev/zero
	below 350 # a VM of 256 MiB
	is "$(caisson exec box echo alive)" alive
}

@test "holes are feigned for a clone only, whose memory is the template's" {
	start
	is "$(filters)" 2
	caisson rm -f box > /dev/null
	start --fresh-boot
	is "$(filters)" 1
	caisson rm -f box > /dev/null
	mkdir "$BATS_TEST_TMPDIR/share"
	start -v "$BATS_TEST_TMPDIR/share:/mnt"
	is "$(filters)" 1
}

@test "a clone's disk: zeros that are written are read back, and space that is freed is the host's again" {
	caisson run -d --name box --privileged "$IMAGES/debian" sleep 100000 > /dev/null
	is_clone
	run -0 caisson exec box python3 -c '
import fcntl, os, struct
disk = os.open("/dev/vdb", os.O_RDWR)
at, size = 7 << 30, 16 << 20
os.pwrite(disk, b"x" * size, at)
os.fsync(disk)
fcntl.ioctl(disk, 0x127f, struct.pack("QQ", at, size)) # BLKZEROOUT
os.fsync(disk)
fcntl.ioctl(disk, 0x1261) # BLKFLSBUF
print(os.pread(disk, size, at) == bytes(size), os.pread(disk, 1, at + size))'
	is "$output" "True b'\\x00'"
	local disk before
	used() { du -m "$CAISSON_ROOT/containers/$(id_of box)/disk.ext4" | cut -f 1; }
	smaller() { [ "$(used)" -lt "$1" ]; }
	before=$(used)
	caisson exec box sh -c 'head -c 60000000 /dev/urandom > /big; sync'
	[ "$(used)" -gt $((before + 45)) ] || fail "$(used) MB"
	caisson exec box sh -c 'rm /big; sync'
	eventually 30 smaller $((before + 20))
}
