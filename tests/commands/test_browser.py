"""What a person meets after a sweep: the UI's runs, curves and pictures, a page that sorts.

In Debian's Chromium, which reaches nothing but this machine; without it, what needs it skips.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import pytest
from selenium import webdriver
from selenium.common.exceptions import (
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from flexunet_exp.commands import ui
from flexunet_exp.reporting import html
from tests.support import running, storing

SECONDS = 60  # until something must have appeared, however busy the machine is
CARD = "[data-testid=experiment-view-compare-runs-card]"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1500,1000",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[WebDriver]:
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        pytest.skip("no Chromium: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location, driver = programs
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # With its path Selenium looks for no other driver, and downloads none.
    started = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield started
    started.quit()


def wait(browser: WebDriver, script: str, *arguments: object):
    """What the script returns as soon as it is something; the page changes under one's hands."""
    return WebDriverWait(browser, SECONDS).until(
        lambda one: one.execute_script(script, *arguments), f"never came: {script} {arguments}"
    )


EVERYTHING = Keys.CONTROL + "a" + Keys.NULL  # selected, so that what is typed takes its place


def type_into(browser: WebDriver, selector: str, keys: str) -> None:
    """Types once the element is there, and again where the page has just replaced it."""
    passing = (
        NoSuchElementException,
        StaleElementReferenceException,
        ElementNotInteractableException,
    )
    WebDriverWait(browser, SECONDS, ignored_exceptions=passing).until(
        lambda one: one.find_element(By.CSS_SELECTOR, selector).send_keys(keys) or True
    )


def addresses(browser: WebDriver) -> set[str]:
    """Scheme and host of all that the pages asked for since this was last called."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    return {re.match(r"[\w-]+:(//[^/]*)?", url)[0] for url in asked} - {"data:", "blob:"}


@pytest.fixture(scope="module")
def swept(tmp_path_factory, tiny) -> Path:
    """A folder in which a real sweep was trained: two losses, two seeds."""
    folder = tmp_path_factory.mktemp("swept")
    axes = ("loss=dice,ce_dice", "trainer.seed=0,1", "split=folds", "split.n=3")
    less = ("tracking.log_model=false", "callbacks.epoch_images.num_images=1")
    done = running.train(folder, "-m", *tiny, *axes, *less)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="module")
def link(swept) -> Iterator[str]:
    """What `flexunet ui` prints, where another program has the port it would take."""
    with socket.socket() as other:
        if ui.is_free(ui.PORTS[0]):
            other.bind((ui.HOST, ui.PORTS[0]))
            other.listen()
        shown = running.start_flexunet(swept, "ui")
        lines = iter(shown.stdout.readline, "")
        yield next(line.split()[1] for line in lines if line.startswith("Runs: "))
    shown.send_signal(signal.SIGINT)
    printed, _ = shown.communicate(timeout=SECONDS)
    assert shown.returncode == 0 and "Traceback" not in printed


def listening_addresses(port: int) -> set[str]:
    """Local addresses that a socket listens at on this port, as Linux's table writes them."""
    table = Path("/proc/net/tcp")
    rows = [line.split() for line in table.read_text().splitlines()] if table.exists() else []
    listening = [row[1].split(":") for row in rows[1:] if row[3] == "0A"]
    return {address for address, at in listening if int(at, 16) == port}


def test_the_ui_serves_the_store_on_a_free_port_of_the_loopback_address(link, swept):
    address = urlsplit(link)
    assert address.hostname == ui.HOST and address.port in ui.PORTS[1:]
    assert link.partition("#")[2].startswith(f"/experiments/{running.store(swept).experiment_id}/")
    run = running.all_runs(swept)[0].info
    question = f"{link.partition('/#')[0]}/api/2.0/mlflow/runs/get?run_id={run.run_id}"
    with urllib.request.urlopen(question, timeout=SECONDS) as answer:
        assert json.load(answer)["run"]["info"]["run_name"] == run.run_name
    assert listening_addresses(address.port) <= {"0100007F"}  # 127.0.0.1


def names(browser: WebDriver, at_least: int) -> dict[str, str]:
    """The runs that the table shows, with their addresses, as soon as there are so many."""
    script = """const links = [...document.querySelectorAll("[row-id] a")];
        return links.length >= arguments[0] && links.map(link => [link.innerText, link.href])"""
    return dict(wait(browser, script, at_least))


def unfold(browser: WebDriver, link: str) -> dict[str, str]:
    """The runs of the table, those of the sweep among them."""
    browser.get("about:blank")
    browser.get(link)
    wait(browser, "const one = document.querySelector('[row-id] button'); one?.click(); return one")
    return names(browser, 5)


def test_the_link_lands_on_the_sweep_and_its_row_unfolds_the_runs_with_their_scores(
    browser, link, swept
):
    browser.get("about:blank")
    addresses(browser)
    browser.get(link)
    assert "sweep" not in names(browser, 1)
    assert set(unfold(browser, link)) == {run.info.run_name for run in running.all_runs(swept)}
    scores = wait(
        browser,
        """const cells = [...document.querySelectorAll("[role=gridcell]")];
        const scores = cells.filter(cell => cell.getAttribute("col-id") === "metrics.`test/dice`");
        return scores.length === 5 && scores.map(cell => cell.innerText)""",
    )
    shown = sorted(float(score.rstrip("…")) for score in scores if score != "-")
    stored = [run.data.metrics["test/dice"] for run in running.all_runs(swept) if run.data.metrics]
    assert shown == pytest.approx(sorted(stored), abs=2e-6) and len(shown) == 4
    assert addresses(browser) == {link.partition("/#")[0]}


def test_a_run_of_the_sweep_has_its_curve_and_a_slider_over_its_pictures(browser, link):
    browser.get(f"{list(unfold(browser, link).values())[-1]}/model-metrics")
    search = "input[placeholder='Search metric charts']"
    type_into(browser, search, f"{EVERYTHING}epoch/val/dice$")
    curve = wait(
        browser,
        """const card = [...document.querySelectorAll(arguments[0])].at(-1);
        card?.scrollIntoView();
        return card?.innerText.includes("dice (epoch/val/dice)") &&
            card.querySelector("path.js-line")?.getAttribute("d")""",
        CARD,
    )
    assert re.fullmatch(r"M[\d.]+,[\d.]+L[\d.]+,[\d.]+", curve)  # two epochs, a line
    shown = """const picture = document.querySelector(`${arguments[0]} img`);
        picture?.scrollIntoView();
        return picture?.naturalWidth && !picture.src.includes(arguments[1]) && picture.src"""
    first = wait(browser, shown, CARD, "step%2B1")
    assert "step%2B0" in first  # as it was before the training
    type_into(browser, f"{CARD} [role=slider]", Keys.ARROW_RIGHT)
    assert "step%2B1" in wait(browser, shown, CARD, "step%2B0")


def test_the_command_that_compare_gives_repeats_the_winner(swept):
    """Given to the shell it finds the very runs: nothing is trained again."""
    done = running.flexunet(swept, "compare")
    assert done.returncode == 0, done.stdout
    (command,) = re.findall(r"^Repeat it: flexunet train (.*)$", done.stdout, re.M)
    again = running.train(swept, *shlex.split(command))
    assert again.stdout.count("Already done") == 2, again.stdout
    assert "trainer.seed=0,1" in command and "epoch 1/" not in again.stdout


@pytest.fixture(scope="module")
def report(browser, tmp_path_factory) -> Path:
    """The page of four losses, of which two are equal and the last is no leader."""
    folder = tmp_path_factory.mktemp("compared")
    qualities = {"dice": 0.8, "ce_dice": 0.8, "tversky": 0.5, "focal": 0.2}
    storing.sweep(
        running.store(folder), storing.make_pictures(folder / "data"), "losses", qualities, seeds=1
    )
    done = running.flexunet(folder, "compare", "top=3", "images=2")
    assert done.returncode == 0, done.stdout
    (page,) = folder.glob("outputs/*/*_compare/compare/compare.html")
    return page


@pytest.fixture
def page(browser, report) -> WebDriver:
    browser.get("about:blank")
    addresses(browser), browser.get_log("browser")
    browser.get(report.as_uri())
    return browser


def column(page: WebDriver, header: str) -> list[str]:
    """The texts of a column of the leaderboard, from top to bottom."""
    return page.execute_script(
        """const table = document.querySelector("table");
        const headers = [...table.tHead.rows[0].cells].map(cell => cell.innerText);
        const cells = [...table.tBodies[0].rows].map(row => [...row.cells]);
        return cells.map(row => row[headers.indexOf(arguments[0])].innerText)""",
        header,
    )


def press(page: WebDriver, header: str, key: str = Keys.ENTER) -> str:
    """Presses a header of the leaderboard from the keyboard, and returns its aria-sort."""
    button = page.find_element(By.XPATH, f"(//table)[1]//th/button[text()='{header}']")
    button.send_keys(key)
    return button.find_element(By.XPATH, "..").get_attribute("aria-sort")


def test_a_header_sorts_the_leaderboard_and_what_has_no_value_stays_last(page):
    losses = ["ce_dice", "dice", "focal", "tversky"]
    ranked = column(page, "loss")
    assert sorted(ranked) == losses and ranked[-1] == "focal"
    assert press(page, "loss") == "ascending" and column(page, "loss") == losses
    assert press(page, "loss", Keys.SPACE) == "descending" and column(page, "loss") == losses[::-1]

    assert press(page, "test/dice") == "ascending"
    assert page.execute_script("return document.querySelectorAll('[aria-sort]').length") == 1
    rising = column(page, "test/dice")
    assert rising == sorted(rising, key=lambda text: float(text.split()[0]))
    assert column(page, "loss")[:2] == ["focal", "tversky"]
    assert press(page, "test/dice") == "descending" and column(page, "test/dice") == rising[::-1]

    for header in ("to #1", "pooled", "params"):  # the leaders alone have them
        missing = column(page, header).count("")
        for _ in range(2):
            press(page, header)
            shown = column(page, header)
            assert missing and shown[-missing:] == [""] * missing and "" not in shown[:-missing]
            assert column(page, "loss")[-1] in ("focal", ranked[0])


def test_equal_values_keep_their_order(page):
    press(page, "loss", Keys.ENTER), press(page, "loss", Keys.ENTER)
    before = column(page, "loss")
    for _ in range(2):
        press(page, "runs")
        assert column(page, "runs") == ["3"] * 4 and column(page, "loss") == before


def test_numbers_sort_as_numbers_and_not_as_words(page):
    """Ten cells or more, and settings that are written in several ways."""
    page.execute_script(
        """const rows = document.querySelector("table").tBodies[0].rows;
        const cells = [...rows].map(row => row.cells[0]);
        ["9", "10", "1e-05", ""].forEach((key, place) => {
            cells[place].dataset.key = cells[place].innerText = key;
        })"""
    )
    press(page, "#")
    assert column(page, "#") == ["1e-05", "9", "10", ""]
    press(page, "#")
    assert column(page, "#") == ["10", "9", "1e-05", ""]


def test_the_page_shows_its_contact_sheet_and_charts_and_asks_nobody(page, report):
    sheet = "return (([one]) => [one.naturalHeight, one.naturalWidth, one.alt])(document.images)"
    *size, words = wait(page, sheet)
    assert tuple(size) == cv2.imread(str(report.parent / "contact_sheet.png")).shape[:2]
    assert len(re.findall(r"#[123] \w+ Dice [01]\.\d{3}", words)) == 2 * 3  # pictures × leaders
    points = "return document.querySelectorAll('.scatterlayer path.point').length"
    assert wait(page, points) == 2 * 4  # validation and test of each cell
    assert wait(page, "return document.querySelectorAll('.parcoords .axis').length") == 3
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert addresses(page) == {"file://"}


@pytest.fixture
def three_doubts(browser, tmp_path):
    """The page of a review with three doubts."""
    row = {"crop": "data:,", "name": "a", "kind": "extra", "reason": "It is.", "expected": "9%"}
    about = {"title": "Labels", "facts": {}, "command": "flexunet", "classes": [], "pictures": 2}
    text = html.template("review.html").render(
        **about, rows=[row | {"probability": "9%"}] * 3, table="wrong\n\n\n\n", key=tmp_path.name
    )
    (tmp_path / "review.html").write_text(text)
    browser.get((tmp_path / "review.html").as_uri())
    wait(browser, "return document.querySelectorAll('input').length === 3")
    return browser


def test_ticks_of_a_review_are_there_after_a_reload(three_doubts):
    three_doubts.find_elements(By.CSS_SELECTOR, "input")[1].click()
    ticked = "return [...document.querySelectorAll('input')].map(one => one.checked).join()"
    for _ in range(4):  # each load, and not by chance
        three_doubts.refresh()
        assert wait(three_doubts, ticked) == "false,true,false"
        assert three_doubts.find_element(By.ID, "count").text == "1 ticked"


def test_ticks_of_another_review_are_not_those_of_the_page(three_doubts, tmp_path):
    three_doubts.find_elements(By.CSS_SELECTOR, "input")[1].click()
    page = tmp_path / "review.html"
    page.write_text(page.read_text().replace(tmp_path.name, "another table"))
    three_doubts.refresh()
    assert three_doubts.find_element(By.ID, "count").text == "0 ticked"


def test_saved_ticks_are_not_unsaved_when_the_page_is_opened_again(three_doubts, tmp_path):
    allowed = {"behavior": "allow", "downloadPath": str(tmp_path)}
    three_doubts.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
    warns = "return dispatchEvent(new Event('beforeunload', {cancelable: true})) ? 'no' : 'yes'"
    three_doubts.find_elements(By.CSS_SELECTOR, "input")[1].click()
    assert wait(three_doubts, warns) == "yes"
    three_doubts.find_element(By.ID, "save").click()
    three_doubts.refresh()
    wait(three_doubts, "return document.readyState === 'complete'")
    assert wait(three_doubts, warns) == "no"
    assert three_doubts.find_element(By.ID, "count").text == "0 ticked"
