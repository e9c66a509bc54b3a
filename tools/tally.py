"""Counts what the tiers printed: tally.py TESTLOG.json... (meson's, with TAP in it).

Shows every failed case with what it said, every skipped one with its reason, and ends with "N passed, N failed, N skipped".
A test program that failed without a failed case (a crash, a time-out) counts as one failed case.
"""
import json
import re
import sys
from collections import Counter

CASE = re.compile(r"^(not ok|ok)\b\s*(\d*)(?:\s-\s|\s)\s*(.*?)(?:\sin\s\d+ms)?\s*(?:#\s*(skip|todo)\b[:\s]*(.*))?$", re.I)


def cases(text):
    """(verdict, name, what it said) of each TAP line."""
    found = []
    for line in text.splitlines():
        match = CASE.match(line)
        if match:
            verdict = "failed" if match[1].lower() == "not ok" else "skipped" if match[4] else "passed"
            found.append([verdict, match[3], match[5] or ""])
        elif line.startswith("#") and found and found[-1][0] == "failed":
            found[-1][2] += line + "\n"
    return found


def main():
    count, failures, skips = Counter(), [], Counter()
    for path in sys.argv[1:]:
        try:
            with open(path) as f:
                tests = [json.loads(line) for line in f if line.strip()]
        except OSError as error:
            tests = []
            count["failed"] += 1
            failures.append((path, "no log", str(error)))
        for test in tests:
            found = cases(test.get("stdout", ""))
            for verdict, name, said in found:
                count[verdict] += 1
                if verdict == "failed":
                    failures.append((test["name"], name, said))
                elif verdict == "skipped":
                    skips[(name, said)] += 1
            if test["result"] == "SKIP" and not found:
                count["skipped"] += 1
                skips[(test["name"], "")] += 1
            elif test["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") and not any(v == "failed" for v, _, _ in found):
                count["failed"] += 1
                said = (test.get("stdout", "") + test.get("stderr", "")).splitlines()[-30:]
                failures.append((test["name"], f"{test['result']} (exit status {test.get('returncode')})", "\n".join(said) + "\n"))
    for (name, said), times in skips.items():
        print(f"skipped: {name}: {said}" + (f" ({times} times)" if times > 1 else ""))
    for test, name, said in failures:
        print(f"\nFAILED {test}: {name}\n{said}", end="")
    if failures:
        print()
    if not count["passed"] and not count["failed"]:
        count["failed"] = 1
        print("no test ran")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    sys.exit(1 if count["failed"] else 0)


main()
