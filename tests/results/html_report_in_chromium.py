#!/usr/bin/env python3
"""Opens a report in a real headless Chromium, as a reader would, and says what is wrong with it.

usage: html_report_in_chromium.py REPORT.html [--screenshots FOLDER]

Checks in light and dark, on a desk and on a phone: nothing on the console, no dialog, nothing loaded but the page,
nothing wider than the window, every heading of every table sorts both ways and back. Exit code 1 with a line for each
fault, 77 where there is no chromium. Nothing but Python and Chromium is needed: it speaks to it through a pipe.
"""
import argparse
import base64
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SORTS = """(() => {
  const faults = [];
  for (const table of document.querySelectorAll('table.sortable')) {
    const names = () => [...table.tBodies[0].rows].map(row => row.cells[0].textContent + row.cells[0].innerHTML);
    const original = names().join();
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = head.querySelector('button');
      for (const click of [1, 2]) {
        button.click();
        const sign = head.getAttribute('aria-sort') === 'ascending' ? 1 : -1;
        const rows = [...table.tBodies[0].rows];
        if (rows.some(row => row.classList.contains('group'))) faults.push('a heading among sorted rows');
        const values = rows.map(row => row.cells[column].dataset.v);
        const numbers = values.filter(value => !Number.isNaN(parseFloat(value))).map(parseFloat);
        if (values.some(value => value !== undefined)) {
          for (let row = 1; row < numbers.length; ++row) {
            if (sign * (numbers[row] - numbers[row - 1]) < 0) faults.push(`column ${column} is not sorted`);
          }
          if (values.slice(0, numbers.length).some(value => Number.isNaN(parseFloat(value)))) {
            faults.push(`column ${column}: a row without a number is not last`);
          }
        }
      }
      button.click();
      if (names().join() !== original) faults.push(`column ${column} does not come back to its order`);
    });
  }
  return {tables: document.querySelectorAll('table.sortable').length, faults};
})()"""


class Chromium:
    def __init__(self, program, folder):
        to_read, self.write_end = os.pipe()
        self.read_end, to_write = os.pipe()

        def set_descriptors():
            # By way of high ones: a pipe's end may itself be number 3 or 4.
            ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_read, to_write)]
            for number, end in zip((3, 4), ends):
                os.dup2(end, number)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", "--hide-scrollbars", f"--user-data-dir={folder}", "about:blank"],
            preexec_fn=set_descriptors, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.buffer = b""
        self.last_id = 0
        self.session = None
        self.events = []

    def receive(self):
        while b"\0" not in self.buffer:
            chunk = os.read(self.read_end, 1 << 20)
            if not chunk:
                raise SystemExit("chromium ended before it answered")
            self.buffer += chunk
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.last_id:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.receive())

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise SystemExit(f"{expression[:60]}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def close(self):
        self.process.terminate()
        self.process.wait()


def faults_of_events(events, page):
    for event in events:
        method, what = event.get("method"), event.get("params", {})
        if method == "Runtime.consoleAPICalled":
            yield f"console: {what['args']}"
        if method == "Runtime.exceptionThrown":
            yield f"exception: {what['exceptionDetails'].get('text')} {what['exceptionDetails'].get('exception')}"
        if method == "Log.entryAdded":
            yield f"log: {what['entry']['text']}"
        if method == "Page.javascriptDialogOpening":
            yield f"dialog: {what['message']}"
        if method == "Network.requestWillBeSent" and what["request"]["url"].split("#")[0] != page:
            yield f"loads {what['request']['url']}"


def look(browser, page, width, height, scheme, screenshots, name):
    browser.events.clear()
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                 mobile=width < 500)
    browser.call("Emulation.setEmulatedMedia", media="screen",
                 features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.call("Page.navigate", url=page)
    browser.wait_for("Page.loadEventFired")
    faults = []
    wide = browser.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        faults.append(f"the page is {wide} pixels wide in a window of {width}")
    if screenshots:
        save(browser.call("Page.captureScreenshot", captureBeyondViewport=True, format="png")["data"],
             screenshots / f"{name}.png")
        size = browser.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": width, "height": min(size["height"], 12000), "scale": 1}
        save(browser.call("Page.captureScreenshot", captureBeyondViewport=True, format="png", clip=clip)["data"],
             screenshots / f"{name}-whole.png")
    sorting = browser.evaluate(SORTS)
    faults += sorting["faults"]
    opened = browser.evaluate(
        "(() => { const row = document.querySelector('details.row'); if (!row) return true; "
        "location.hash = row.id; return new Promise(done => setTimeout(() => done(row.open), 100)); })()")
    if not opened:
        faults.append("an address does not open the row that it names")
    faults += faults_of_events(browser.events, page)
    return [f"{name}: {fault}" for fault in faults]


def save(encoded, path):
    path.write_bytes(base64.b64decode(encoded))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("--screenshots", type=pathlib.Path)
    arguments = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        print("no chromium here (Debian: chromium)")
        return 77
    page = arguments.report.resolve().as_uri()
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    faults = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Chromium(program, folder)
        try:
            target = browser.call("Target.createTarget", url="about:blank")["targetId"]
            browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                browser.call(f"{domain}.enable")
            for name, width, height, scheme in (("desk-light", 1280, 900, "light"), ("desk-dark", 1280, 900, "dark"),
                                                ("phone-light", 390, 844, "light"), ("phone-dark", 390, 844, "dark")):
                faults += look(browser, page, width, height, scheme, arguments.screenshots, name)
            if arguments.screenshots:
                browser.events.clear()
                browser.call("Page.navigate", url=page)
                browser.wait_for("Page.loadEventFired")
                browser.call("Emulation.setEmulatedMedia", media="")
                browser.call("Emulation.clearDeviceMetricsOverride")
                printed = browser.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)["data"]
                save(printed, arguments.screenshots / "paper.pdf")
        finally:
            browser.close()
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
