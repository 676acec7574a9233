"""A person with a browser: sign in by name, the waiting page, the app, a deep link with its fragment, sign out.

Screenshots go to build/screenshots, to be looked at.
"""

import re
import shutil
import subprocess

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chromium.remote_connection import ChromiumRemoteConnection
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as expect
from selenium.webdriver.support.ui import WebDriverWait

from support.alcove import ROOT, demo

SCREENSHOTS = ROOT / "build" / "screenshots"
PATIENCE_S = 60


@pytest.fixture
def driver_url(place):
    """A chromedriver of our own: Selenium would look for it at "localhost", a name that a bare machine does not know."""
    program = shutil.which("chromedriver")
    assert program, "chromium-driver is not installed: ./dev test installs it"
    log = place / "chromedriver.log"
    process = subprocess.Popen([program, "--port=0", f"--log-path={log}"], stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                yield f"http://127.0.0.1:{found[1]}"
                break
        else:
            raise AssertionError(f"chromedriver ended before it listened: {log.read_text()}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def browser(place, driver_url):
    chromium = shutil.which("chromium")
    assert chromium, "chromium is not installed: ./dev test installs it"
    options = Options()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                     "--window-size=1100,800", f"--user-data-dir={place / 'profile'}", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--disable-default-apps", "--disable-extensions", "--lang=en",
                     # chromedriver would look for the browser at "localhost" too.
                     "--remote-debugging-pipe",
                     # Nothing leaves this machine.
                     "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Remote(ChromiumRemoteConnection(driver_url, "goog", "chrome"), options=options)
    driver.set_page_load_timeout(PATIENCE_S)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    yield driver
    driver.quit()


def wait(browser, condition):
    # A page may be replaced between the moment an element is found and the moment its text is read.
    return WebDriverWait(browser, PATIENCE_S, poll_frequency=0.05,
                         ignored_exceptions=[StaleElementReferenceException]).until(condition)


def shot(browser, name: str):
    browser.save_screenshot(str(SCREENSHOTS / f"{name}.png"))


def sign_in(browser, name: str):
    field = wait(browser, expect.presence_of_element_located((By.NAME, "user")))
    field.send_keys(name)
    field.submit()


def complaints(browser) -> list[str]:
    """What the console says against our pages: policy violations, script errors."""
    return [e["message"] for e in browser.get_log("browser")
            if e["level"] == "SEVERE" and "favicon" not in e["message"]]


def on_app(browser):
    return wait(browser, expect.presence_of_element_located((By.ID, "session")))


def test_sign_in_waiting_page_app_deep_link_and_sign_out(make, browser):
    run = make(apps={"demo": demo("--start-delay", "4s", waiting_page_after="300ms")})
    base = f"http://demo.localhost:{run.port}"
    deep = f"{base}/notes/42?tab=2#chapter-3"

    browser.get(deep)
    assert "/.alcove/sign-in" in browser.current_url
    assert "dev" in browser.find_element(By.TAG_NAME, "body").text.lower(), "nobody takes it for real"
    shot(browser, "1-sign-in")
    sign_in(browser, "Ada Lovelace")

    wait(browser, expect.presence_of_element_located((By.ID, "steps")))
    assert browser.find_elements(By.ID, "session") == []
    assert "Ada Lovelace" in browser.find_element(By.TAG_NAME, "main").text
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, "#steps .done") != [])
    shot(browser, "2-waiting")

    assert on_app(browser).text.startswith("demo/ada-lovelace")
    assert browser.find_element(By.ID, "user").text == "Ada Lovelace"
    assert browser.find_element(By.ID, "generation").text == "1"
    assert browser.current_url == deep, "the deep link, with its fragment"
    assert browser.find_element(By.ID, "target").text == "/notes/42?tab=2#chapter-3"

    browser.find_element(By.ID, "echo-text").send_keys("hello pod")
    browser.find_element(By.ID, "echo-send").click()
    wait(browser, expect.text_to_be_present_in_element((By.ID, "echo-log"), "hello pod"))
    browser.find_element(By.ID, "clock-toggle").click()
    wait(browser, lambda b: ":" in b.find_element(By.ID, "clock").text and "-" not in b.find_element(By.ID, "clock").text)
    shot(browser, "3-app")
    browser.find_element(By.ID, "clock-toggle").click()

    browser.find_element(By.ID, "account").click()
    assert "Ada Lovelace" in wait(browser, expect.presence_of_element_located((By.TAG_NAME, "main"))).text
    shot(browser, "4-account")
    browser.find_element(By.CSS_SELECTOR, "form button").click()
    wait(browser, lambda b: "/.alcove/signed-out" in b.current_url)
    shot(browser, "5-signed-out")
    assert complaints(browser) == []

    browser.get(base + "/")
    assert "/.alcove/sign-in" in browser.current_url, "signed out means signed out"
    sign_in(browser, "grace")
    assert on_app(browser).text == "demo/grace"


def test_a_ready_pod_is_shown_without_a_waiting_page(make, browser):
    run = make(apps={"demo": demo(waiting_page_after="20s")})
    browser.get(f"http://demo.localhost:{run.port}/")
    sign_in(browser, "ada")
    assert on_app(browser).text == "demo/ada"
    assert complaints(browser) == []


def test_a_failed_start_is_shown_with_its_reason_on_the_waiting_page(make, browser):
    script = "sleep 2; echo 'the licence has <b>expired</b>' >&2; exit 1"
    run = make(provisioner={"retry_first": "1h", "retry_most": "1h"},
               apps={"demo": {**demo(waiting_page_after="100ms"), "command": ["/bin/sh", "-c", script]}})
    browser.get(f"http://demo.localhost:{run.port}/")
    sign_in(browser, "ada")
    wait(browser, lambda b: "the licence has <b>expired</b>" in b.find_element(By.TAG_NAME, "main").text)
    shot(browser, "6-failed")


def test_the_place_in_the_queue_is_shown(make, browser, gate):
    run = make(provisioner={"starts_at_once": 1},
               apps={"demo": demo(waiting_page_after="100ms", start_timeout="2m"),
                     "slow": {**demo(), "command": ["/bin/sh", "-c", f"read x < {gate.path}; exec sleep 600"],
                              "start_timeout": "2m", "hold_timeout": "2m"}})
    curl = subprocess.Popen(["curl", "-s", "-m", "100", "-H", "X-User-ID: eve", f"http://slow.localhost:{run.port}/"],
                            stdout=subprocess.DEVNULL)
    try:
        gate.wait_for_pod()
        browser.get(f"http://demo.localhost:{run.port}/")
        sign_in(browser, "ada")
        wait(browser, expect.presence_of_element_located((By.ID, "steps")))
        wait(browser, lambda b: "1" in b.find_element(By.ID, "state").text or
             "next" in b.find_element(By.ID, "state").text.lower())
        shot(browser, "7-queued")
        run.cli("stop", "slow/eve")
        assert on_app(browser).text == "demo/ada"
    finally:
        curl.kill()
        curl.wait()


def test_dark_colours_are_readable(make, browser):
    run = make(apps={"demo": demo(waiting_page_after="20s")})
    browser.execute("executeCdpCommand", {"cmd": "Emulation.setEmulatedMedia", "params": {
        "features": [{"name": "prefers-color-scheme", "value": "dark"}]}})
    browser.get(f"http://demo.localhost:{run.port}/")
    shot(browser, "8-sign-in-dark")
    sign_in(browser, "ada")
    on_app(browser)
    shot(browser, "9-app-dark")
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in ground[4:-1].split(",")) < 80, ground
