#!/usr/bin/env python3
"""Run the Autobahn fuzzing client against one WebSocket server and sum up.

usage: driver.py URL OUTDIR [CASES] [EXCLUDE]      (see README.md)
"""
# must come first: it installs the Twisted reactor
from autobahntestsuite import choosereactor  # noqa: F401

import json
import os
import re
import sys
import time
from collections import OrderedDict

from twisted.internet import reactor
from twisted.python import log

import autobahntestsuite
from autobahntestsuite import fuzzing
from autobahntestsuite.case import Case, CaseBasename, CaseCategories, Cases, CaseSetname, CaseSubCategories
from autobahntestsuite.caseset import CaseSet

AGENT = "server"
MAX_LINES = 40
PASSED = (Case.OK, Case.NON_STRICT, Case.INFORMATIONAL)
SUITE_ERROR = "SUITE ERROR"     # an exception within the suite: the case proves nothing
NOT_RUN = "NOT RUN"             # the server went away, or the time was up
ORDER = [Case.OK, Case.NON_STRICT, Case.INFORMATIONAL, Case.UNIMPLEMENTED, Case.FAILED,
         Case.WRONG_CODE, Case.UNCLEAN, Case.FAILED_BY_CLIENT, SUITE_ERROR, NOT_RUN]
ALWAYS_SHOWN = ORDER[:6]

# Named sets of cases for CASES.
CORE = "1,2,3,4,5,6,7,9,10"
SETS = {
    "all": "*",
    # everything but compression
    "core": CORE,
    # and some short cases of each kind of compression: what `cargo xtask test` runs
    "test": ",".join([CORE, "12.*.1", "12.*.4", "13.*.1", "13.*.4", "13.1.11"]),
    # compression with messages up to 32 KiB and some fragments
    "quick": ",".join([CORE, "12.1.11-13,12.4.11-13,13.2.11-13,13.5.11-13"]
                      + ["12.%d.1-8" % i for i in range(1, 6)]
                      + ["13.%d.1-8" % i for i in range(1, 8)]),
}


def usage(text):
    sys.stderr.write(text.rstrip() + "\n")
    sys.exit(2)


def seconds(name, default):
    try:
        return float(os.environ.get(name, default))
    except ValueError:
        usage("%s must be a number of seconds" % name)


def sort_key(case_id):
    return tuple(int(x) for x in case_id.split("."))


def select(patterns, all_ids):
    """Ids for a list like '1,7.*,12.*.3,9.3.4-9': an id, a prefix, a pattern, a range."""
    found = set()
    for pattern in re.split(r"[,\s]+", patterns.strip()):
        if not pattern:
            continue
        if pattern in SETS:
            hits = select(SETS[pattern], all_ids)
        elif "*" in pattern:
            regex = re.compile(re.escape(pattern).replace(r"\*", ".*") + r"\Z")
            hits = [i for i in all_ids if regex.match(i)]
        elif re.match(r"[\d.]+\.\d+-\d+\Z", pattern):
            head, last = pattern.rsplit("-", 1)
            prefix, first = head.rsplit(".", 1)
            names = ["%s.%d" % (prefix, n) for n in range(int(first), int(last) + 1)]
            hits = [i for i in all_ids if i in names]
        else:
            hits = [i for i in all_ids if i == pattern or i.startswith(pattern + ".")]
        if not hits:
            usage("no case matches '%s'" % pattern)
        found.update(hits)
    return sorted(found, key=sort_key)


def condense(ids):
    """'12.1.1-18 12.2.1-3' for a sorted list of ids."""
    out = []
    for prefix, last in ((i.rpartition(".")[0], int(i.rpartition(".")[2])) for i in ids):
        if out and out[-1][0] == prefix and out[-1][2] == last - 1:
            out[-1][2] = last
        else:
            out.append([prefix, last, last])
    return " ".join("%s.%d" % (p, a) if a == b else "%s.%d-%d" % (p, a, b) for p, a, b in out)


class Factory(fuzzing.FuzzingClientFactory):
    """The suite's own client, with limits on time and with every exception kept."""

    instance = None

    def __init__(self, spec, case_seconds, run_seconds):
        Factory.instance = self
        self.currentCaseId = None
        self.errors = {}
        self.expired = set()
        self.closed_early = 0
        self.proto = None
        self.stopped = None
        self.interrupted = None
        self.case_seconds = case_seconds
        self.timer = None
        self.wanted = spec["cases"]
        reactor.callLater(run_seconds, self.stop, "stopped after %g seconds" % run_seconds)
        fuzzing.FuzzingClientFactory.__init__(self, spec)

    def observe(self, event):
        if event.get("isError"):
            failure = event.get("failure") or event.get("log_failure")
            text = failure.getErrorMessage() if failure else str(event.get("message"))
            self.errors.setdefault(self.currentCaseId or "start", []).append(text)

    def buildProtocol(self, addr):
        proto = fuzzing.FuzzingClientFactory.buildProtocol(self, addr)
        self.proto = proto
        self.timer = reactor.callLater(self.case_seconds, self.expire, proto, self.currentCaseId)
        if sys.stderr.isatty():
            sys.stderr.write("\r%4d/%d  %-10s" % (self.currSpecCase + 1, len(self.wanted), self.currentCaseId))
            sys.stderr.flush()
        return proto

    def expire(self, proto, case_id):
        self.timer = None
        self.expired.add(case_id)
        proto.transport.abortConnection()

    def clientConnectionLost(self, connector, reason):
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.stopped:
            return
        if self.proto.connectionWasOpen:
            self.closed_early = 0
        else:
            self.closed_early += 1
            if self.closed_early >= 5:
                self.stop("stopped: five opening handshakes in a row failed (%s)" % self.proto.wasNotCleanReason)
                return
        fuzzing.FuzzingClientFactory.clientConnectionLost(self, connector, reason)

    def clientConnectionFailed(self, connector, reason):
        if not self.stopped:
            self.stop("stopped: cannot connect (%s)" % reason.getErrorMessage())

    def stop(self, why):
        if not self.stopped:
            self.stopped = why
            if self.timer is not None:      # the case under way gets no verdict
                self.interrupted = self.currentCaseId
            self.createReports()
            reactor.stop()

    def createReports(self):
        try:
            fuzzing.FuzzingClientFactory.createReports(self)
        except Exception:
            log.err()
            self.stopped = self.stopped or "the reports could not be written"


def verdict_of(result):
    behavior, close = result["behavior"], result["behaviorClose"]
    if behavior in PASSED and close not in (Case.OK, Case.INFORMATIONAL):
        return close
    return behavior


def reason_of(result):
    text, close = result["result"], result["resultClose"]
    if "handshake was never completed" in close or result["behavior"] in PASSED \
            or text.startswith("Actual events match"):
        text = close
    elif text.startswith("Actual events differ") and result["expected"]:
        wanted = " or ".join(json.dumps(e) for e in result["expected"].values())
        text = "expected %s, got %s" % (short(wanted), short(json.dumps(result["received"])))
    if not result["closedByMe"] and result["remoteCloseCode"] is not None:
        text += " (closed by the server with %d)" % result["remoteCloseCode"]
    return text


def table(verdicts):
    """The verdicts of each section, for docs/conformance.md."""
    columns = [v for v in ORDER if v in ALWAYS_SHOWN or verdicts[v]]
    lines = ["| section | cases | %s |" % " | ".join(columns), "|---|" + "---:|" * (len(columns) + 1)]
    section_of = lambda case_id: case_id.split(".")[0]
    for section in sorted({section_of(i) for ids in verdicts.values() for i in ids}, key=int):
        counts = [sum(section_of(i) == section for i in verdicts[v]) for v in columns]
        name = "%s %s" % (section, CaseCategories.get(section, ""))
        lines.append("| %s | %d | %s |" % (name.strip(), sum(counts), " | ".join(map(str, counts))))
    return "\n".join(lines) + "\n"


def short(text, limit=90):
    return text if len(text) <= limit else text[:limit] + "..."


def main(argv):
    if not 3 <= len(argv) <= 5:
        usage(__doc__)
    url, outdir = argv[1:3]
    if not re.match(r"wss?://", url):
        usage("the URL must begin with ws:// or wss://")

    suite = CaseSet(CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories)
    all_ids = sorted(suite.CasesById, key=sort_key)
    wanted = select(argv[3] if len(argv) > 3 and argv[3] else "all", all_ids)
    if len(argv) > 4 and argv[4]:
        dropped = set(select(argv[4], all_ids))
        wanted = [i for i in wanted if i not in dropped]
    if not wanted:
        usage("no case is left to run")

    os.makedirs(outdir, exist_ok=True)
    for name in os.listdir(outdir):
        if name in ("index.html", "index.json", "summary.json", "suite.log", "table.md", "failed.txt") or name.startswith(AGENT + "_case_"):
            os.remove(os.path.join(outdir, name))

    spec = {"outdir": outdir, "servers": [{"agent": AGENT, "url": url}], "cases": wanted,
            "exclude-cases": [], "exclude-agent-cases": {}}
    out = sys.stdout
    logfile = open(os.path.join(outdir, "suite.log"), "w", encoding="utf8", errors="backslashreplace")
    log.startLogging(logfile, setStdout=True)
    log.addObserver(lambda event: Factory.instance and Factory.instance.observe(event))

    started = time.time()
    factory = Factory(spec, seconds("CASE_SECONDS", 120), seconds("RUN_SECONDS", 3600))
    reactor.run()
    elapsed = time.time() - started
    if sys.stderr.isatty():
        sys.stderr.write("\r%30s\r" % "")

    results = factory.agents.get(AGENT, {})
    verdicts = OrderedDict((v, []) for v in ORDER)
    why = {}
    for case_id in wanted:
        result = results.get(case_id)
        if case_id in factory.errors:
            verdict = SUITE_ERROR
            why[case_id] = "; ".join(factory.errors[case_id][:3])
        elif result is None or case_id == factory.interrupted:
            verdict = NOT_RUN
        else:
            verdict = verdict_of(result)
            why[case_id] = reason_of(result)
            if case_id in factory.expired:
                why[case_id] = "still running after %g seconds" % factory.case_seconds
        verdicts.setdefault(verdict, []).append(case_id)

    skipped = verdicts[Case.UNIMPLEMENTED]
    passed = sum(len(verdicts[v]) for v in PASSED)
    failed = len(wanted) - passed - len(skipped)
    if os.environ.get("REQUIRE_DEFLATE", "0") not in ("", "0"):
        failed += len(skipped)

    def show(text=""):
        out.write(text + "\n")

    show("Autobahn testsuite %s, %s: %d cases in %d s" % (autobahntestsuite.version, url, len(wanted), round(elapsed)))
    if factory.stopped:
        show("  " + factory.stopped)
    for verdict, ids in verdicts.items():
        if ids or verdict in ALWAYS_SHOWN:
            listed = "" if verdict == Case.OK or not ids else "   " + condense(ids)
            show("  %-17s %4d%s" % (verdict, len(ids), listed))
    lines = ["  %s %s: %s" % (verdict, case_id, why.get(case_id, ""))
             for verdict, ids in verdicts.items() if verdict not in PASSED + (Case.UNIMPLEMENTED, NOT_RUN)
             for case_id in ids]
    for line in lines[:MAX_LINES]:
        show(line)
    if len(lines) > MAX_LINES:
        show("  ... and %d more, see summary.json" % (len(lines) - MAX_LINES))
    if "start" in factory.errors:
        show("  %s: %s" % (SUITE_ERROR, factory.errors["start"][0]))
        failed = max(failed, 1)
    show("  details: %s" % os.path.join(outdir, "index.html"))
    show("%d passed, %d failed" % (passed, failed))
    out.flush()

    summary = {"url": url, "version": autobahntestsuite.version, "seconds": round(elapsed, 1),
               "passed": passed, "failed": failed, "stopped": factory.stopped,
               "verdicts": {v: ids for v, ids in verdicts.items() if ids},
               "reasons": {i: why[i] for v, ids in verdicts.items() if v not in PASSED
                           for i in ids if i in why and v != Case.UNIMPLEMENTED},
               "duration_ms": {i: results[i]["duration"] for i in wanted if i in results}}
    with open(os.path.join(outdir, "summary.json"), "w", encoding="utf8") as f:
        json.dump(summary, f, indent=1)
        f.write("\n")
    with open(os.path.join(outdir, "table.md"), "w", encoding="utf8") as f:
        f.write(table(verdicts))
    with open(os.path.join(outdir, "failed.txt"), "w", encoding="utf8") as f:
        f.write(",".join(i for v, ids in verdicts.items() if v not in PASSED for i in ids))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
