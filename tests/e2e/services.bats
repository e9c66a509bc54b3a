# Real work: a PostgreSQL that is killed with its container loses nothing that it confirmed; a compiler builds a program from a share.
load lib

# A compiler under emulation takes its time.
setup_file() {
	export BATS_TEST_TIMEOUT=300
	e2e_setup_file
}

teardown() {
	remove_all
	assert_nothing_left
}

POSTGRES='d=/var/lib/postgresql/data; b=$(echo /usr/lib/postgresql/*/bin)
[ -s $d/PG_VERSION ] || su postgres -c "$b/initdb -A trust -D $d" > /dev/null
exec su postgres -c "exec $b/postgres -D $d -c shared_buffers=16MB -c max_connections=10 -c unix_socket_directories="'

sql() { caisson exec db psql -U postgres -h 127.0.0.1 -qtAc "$1"; }
ready() { sql 'select 1' > /dev/null; }
is_gone() { ! status_is db running; }

# Rows are written one by one, each confirmed before the next, until the container is killed amid them; what was confirmed is printed.
written_until_killed() { # written_until_killed FROM
	local writer last
	caisson exec db sh -c 'i=$1; while psql -U postgres -h 127.0.0.1 -qc "insert into t values ($i)"; do echo $i; i=$((i + 1)); done' \
		sh "$1" > "$E2E_DIR/confirmed" 2> /dev/null &
	writer=$!
	eventually 60 eval "[ \"\$(tail -n 1 '$E2E_DIR/confirmed')\" -ge $(($1 + 5)) ]"
	caisson kill db > /dev/null
	wait $writer || true
	eventually 10 is_gone
	last=$(tail -n 1 "$E2E_DIR/confirmed")
	echo "${last:?}"
}

@test "PostgreSQL, killed with its container twice while it is written to, has every row that it confirmed" {
	local last
	caisson run -d --name db --memory 400m "$IMAGES/debian" sh -c "$POSTGRES" > /dev/null
	eventually 90 ready
	sql 'create table t (i int primary key)'
	last=$(written_until_killed 1)
	is "$(field db .State.ExitCode)" 137

	caisson start db > /dev/null
	eventually 90 ready
	run -0 sql "select count(*) >= $last and max(i) >= $last and max(i) = count(*) from t"
	is "$output" t
	last=$(($(sql 'select max(i) from t') + 1))
	last=$(written_until_killed "$last")

	caisson start db > /dev/null
	eventually 90 ready
	run -0 sql "select max(i) >= $last and max(i) = count(*) from t"
	is "$output" t
	run -0 caisson logs db
	has "$output" 'database system was not properly shut down'
}

# What is new is compiled, and all is linked, as make would do it.
BUILD='mkdir -p out
for f in main.c plan/*.c proto/*.c base/*.c; do
	case $f in */json.c | */digest.c) continue ;; esac
	o=out/$(echo $f | tr / -).o
	[ $o -nt $f ] || { echo $f; gcc -std=gnu17 -D_GNU_SOURCE -I. -c $f -o $o || exit 1; }
done
gcc -o out/program out/*.o && out/program'

@test "a C program of some size is compiled from a share, and again after an edit on the host" {
	local source=$E2E_DIR/source tree=$BATS_TEST_DIRNAME/../..
	mkdir "$source"
	cp -r "$tree"/src/{base,plan,proto} "$source"
	printf '#include <stdio.h>\nint main(void) { puts("first"); return 0; }\n' > "$source/main.c"
	caisson run -d --name cc --memory 700m -v "$source:/src" -w /src "$IMAGES/debian" sleep 100000 > /dev/null
	run -0 caisson exec cc sh -c "$BUILD"
	[ "${#lines[@]}" -ge 20 ] || fail "$output"
	is "${lines[-1]}" first
	is "$("$source/out/program")" first
	sed -i s/first/second/ "$source/main.c"
	run -0 caisson exec cc sh -c "$BUILD"
	is "$output" $'main.c\nsecond'
}
