# A real distribution: Debian with python3, and a program that forks, writes files, talks over loopback and is killed.
load lib

setup_file() {
	e2e_setup_file
	cat > "$E2E_DIR/program.py" <<-'P'
		import os, signal, socket, sys, time

		mode = sys.argv[1]
		children = []
		for i in range(4):
		    pid = os.fork()
		    if pid == 0:
		        with open(f"/srv/child-{i}", "w") as f:
		            f.write("x" * 100000 * (i + 1))
		            f.flush()
		            os.fsync(f.fileno())
		        os._exit(i)
		    children.append(pid)
		print("codes", [os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in children], flush=True)
		print("sizes", [os.stat(f"/srv/child-{i}").st_size for i in range(4)], flush=True)

		server = socket.create_server(("127.0.0.1", 0))
		port = server.getsockname()[1]
		if os.fork() == 0:
		    with socket.create_connection(("127.0.0.1", port)) as c:
		        c.sendall(b"y" * 1000000)
		    os._exit(0)
		connection, _ = server.accept()
		total = 0
		while data := connection.recv(65536):
		    total += len(data)
		os.wait()
		print("received", total, flush=True)
		if mode == "wait":
		    open("/srv/ready", "w").close()
		    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
		    while True:
		        time.sleep(1)
	P
	caisson run -d --name deb -v "$E2E_DIR/program.py:/program.py:ro" "$IMAGES/debian" sleep 100000 > /dev/null
}

@test "it is a Debian" {
	run -0 caisson exec deb sh -c '. /etc/os-release; echo $ID; dpkg -l | grep -c ^ii'
	is "${lines[0]}" debian
	[ "${lines[1]}" -gt 50 ]
}

@test "python: forks, files, sockets" {
	run -0 --separate-stderr caisson exec deb python3 /program.py once
	is "$output" $'codes [0, 1, 2, 3]\nsizes [100000, 200000, 300000, 400000]\nreceived 1000000'
}

@test "python as the main process, stopped and killed" {
	caisson run -d --name py -v "$E2E_DIR/program.py:/program.py:ro" "$IMAGES/debian" python3 /program.py wait
	eventually 60 caisson exec py test -e /srv/ready
	run -0 caisson stop -t 20 py
	is "$(field py .State.ExitCode)" 3
	caisson start py
	twice() { [ "$(caisson logs py | grep -c received)" = 2 ]; }
	eventually 60 twice
	run -0 caisson kill py
	eventually 10 status_is py exited
	is "$(field py .State.ExitCode)" 137
	run -0 --separate-stderr caisson logs py
	has "$output" 'received 1000000'
	caisson rm py
}

@test "apt's view of the file system: dpkg -V finds nothing changed" {
	run -0 caisson exec deb sh -c 'dpkg -V base-files coreutils libc6 | grep -v -e /usr/share/doc -e /usr/share/man -e /usr/share/locale || true'
	is "$output" ''
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
}
