"""The `tasteline` command: the composition root. Every verb imports what it needs when it runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tasteline import cli_experiment, cli_insights, cli_models, cli_offers, cli_train
from tasteline.cli_train import epochs as epochs_told
from tasteline.errors import InputError, SetupError, TastelineError, TransientError
from tasteline.terminal import AsJson, fail, progress_bar, read_settings, say, say_json

if TYPE_CHECKING:
    from app.shop import Shop
    from eval.recommending import Asked
    from retrieval.erasure import Erased, Learner
    from retrieval.importing.run import ImportReport
    from tasteline.ports import Store
    from tasteline.settings import Settings
    from tasteline.types import Product, Ranking

app = typer.Typer(
    name="tasteline",
    help="A shop's recommendation agent: find, recommend and talk, with true facts and a reason.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
evaluate = typer.Typer(help="The evaluation harness.", no_args_is_help=True)
bench = typer.Typer(help="Speed, side by side with what a user would otherwise call.", no_args_is_help=True)
app.add_typer(evaluate, name="eval")
app.add_typer(bench, name="bench")
app.add_typer(cli_models.app, name="models")
app.add_typer(cli_train.app, name="train")
cli_train.app.command("offers")(cli_offers.train)
app.add_typer(cli_experiment.app, name="experiment")
app.command("insights")(cli_insights.insights)
bench.command("insights")(cli_insights.bench)

EXIT_CODES: tuple[tuple[type[TastelineError], int], ...] = ((InputError, 2), (SetupError, 3), (TransientError, 4))


def main() -> None:
    """Errors of ours become one line on standard error and an exit code."""
    try:
        app()
    except TastelineError as error:
        fail(str(error), next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1))
    except OSError as error:
        fail(f"{error}; check the path, and that TASTELINE_HOME can be written", 3)


@app.command("import")
def import_(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, or `completejourney`.")],
    format_: Annotated[str | None, typer.Option("--format", help="Instead of recognising it.")] = None,
    currency: Annotated[str | None, typer.Option(help="ISO 4217 code for a feed that has none.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take in products and events; what cannot be taken goes to a rejects file with line and reason."""
    from contextlib import closing

    from app.engines import open_store

    settings = read_settings()
    with closing(open_store(settings)) as store:
        report = _import(store, [Path(path) for path in paths], settings, format_, currency)
    if as_json:
        from dataclasses import asdict

        say_json(asdict(report))
    else:
        say(_summary(report))


def _import(
    store: Store, paths: list[Path], settings: Settings, format_: str | None, currency: str | None
) -> ImportReport:
    from retrieval.importing.run import Progress, import_paths

    with progress_bar("importing") as advance:

        def show(at: Progress) -> None:
            advance(int(100 * (at.fraction or 0)), 100)

        rejects = settings.home / "rejects.jsonl"
        return import_paths(paths, store, format=format_, currency=currency, rejects_file=rejects, progress=show)


def _summary(report: ImportReport) -> str:
    lines = [
        f"{kind}: {counts.accepted:,} accepted, {counts.repeated:,} repeated, {counts.rejected:,} rejected"
        for kind, counts in (("products", report.products), ("events", report.events))
        if counts.rows
    ]
    lines += [f"skipped {skipped.source}: {skipped.reason}" for skipped in report.skipped]
    lines += list(report.notes)
    if report.rejects_file:
        lines.append(f"rejected rows, with line, field and reason: {report.rejects_file}")
    return "\n".join(lines)


@app.command()
def index(as_json: AsJson = False) -> None:
    """Embed what changed, count behaviour, and swap in a new snapshot."""
    from app.indexing import build_index

    with progress_bar("indexing") as advance:
        products, changed, manifest = build_index(read_settings(), advance)
    if as_json:
        said = {"products": products, "changed": changed, "revision": manifest.revision, "embedder": manifest.embedder}
        say_json(said)
    else:
        say(f"{products} products indexed, {changed} of them anew ({manifest.embedder}).")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Beyond loopback only with TASTELINE_API_KEYS set.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535)] = None,
) -> None:
    """Run the HTTP service and its page."""
    _serve(read_settings(host=host, port=port), open_browser=False)


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option(help="A real set instead of the demo shop.")] = None,
    currency: Annotated[str | None, typer.Option(help="For a feed that has none.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535)] = None,
    browser: Annotated[bool, typer.Option(help="Open the page.")] = True,
) -> None:
    """Fill a shop and open its page: the demo shop, or your own data with --data."""
    settings = read_settings(port=port)
    if data is None:
        _fill_demo(settings)
        settings = settings.model_copy(update={"home": settings.home / "demo", "shop_name": "Larkspur & Co."})
    else:
        settings = settings.model_copy(update={"home": settings.home / f"demo-{data.name}", "shop_name": data.name})
        _fill_from(settings, data, currency)
    with progress_bar("indexing") as advance:
        from app.indexing import build_index

        build_index(settings, advance)
    _serve(settings, open_browser=browser)


def _fill_demo(settings: Settings) -> None:
    from contextlib import closing
    from datetime import UTC, datetime

    from app.engines import open_store
    from eval import demo_shop

    home = settings.home / "demo"
    with closing(open_store(settings.model_copy(update={"home": home}))) as store:
        if store.revision():
            return
        products, shoppers = demo_shop.products(), demo_shop.shoppers()
        store.put_products(products)
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        store.append_events(list(demo_shop.events(products, shoppers, midnight, seed=7)))
    people = [{"user_id": s.id, "name": s.name, "about": s.taste} for s in demo_shop.featured(shoppers)]
    (home / "featured.json").write_text(json.dumps(people, ensure_ascii=False, indent=2))


def _fill_from(settings: Settings, data: Path, currency: str | None) -> None:
    from contextlib import closing

    from app.engines import open_store

    with closing(open_store(settings)) as store:
        if not store.revision():
            sys.stderr.write(_summary(_import(store, [data], settings, None, currency)) + "\n")
        people = [
            {"user_id": user, "name": f"Customer {user}", "about": f"{count:,} events"}
            for user, count in store.users(limit=8)
        ]
    (settings.home / "featured.json").write_text(json.dumps(people, ensure_ascii=False, indent=2))


def _serve(settings: Settings, *, open_browser: bool) -> None:
    import socket

    import uvicorn

    from app.main import create_app

    if settings.unguarded():
        fail(f"refusing to listen on {settings.host} without a key: set TASTELINE_API_KEYS='[\"…\"]'", 2)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        fail(f"cannot listen on {settings.host}:{settings.port} ({error.strerror}); choose another with --port", 2)
    url = f"http://{settings.host}:{listener.getsockname()[1]}/"
    config = uvicorn.Config(
        create_app(settings), log_config=None, access_log=False, timeout_graceful_shutdown=10, server_header=False
    )
    sys.stderr.write(f"tasteline: {settings.shop_name} opens at {url}\n")
    sys.stderr.write(f"tasteline: the merchant's page is {url}insights\n")
    if open_browser:
        _open_when_ready(url)
    uvicorn.Server(config).run(sockets=[listener])


def _open_when_ready(url: str) -> None:
    """Open a browser once the service answers; a machine without one is left alone."""
    import threading
    import time
    import webbrowser

    import httpx

    def wait() -> None:
        for _ in range(600):
            try:
                if httpx.get(url + "health/ready").status_code == 200:
                    webbrowser.open(url)
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)

    threading.Thread(target=wait, daemon=True).start()


@app.command()
def search(text: str, limit: Annotated[int, typer.Option(min=1, max=100)] = 10, as_json: AsJson = False) -> None:
    """Find products in natural language."""
    from contextlib import closing

    from app.bootstrap import open_shop
    from retrieval.search import SearchQuery

    with closing(open_shop(read_settings(language_model="none"))) as shop:
        _show(shop.searcher.search([SearchQuery(text, limit=limit)])[0], as_json)


@app.command()
def recommend(
    user: Annotated[str | None, typer.Argument(help="A person of whom there are events, or a stranger.")] = None,
    everybody: Annotated[
        Path | None,
        typer.Option("--all", help="Instead: everybody's, one JSON line each into this file; without reasons."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 10,
    as_json: AsJson = False,
) -> None:
    """Recommend for a person, now, each product with its reason; or for everybody, as fast as it goes.

    A line of --all is {"user_id": …, "items": [{"product_id": …, "score": …}, …]}, best first.
    """
    from contextlib import closing

    if (user is None) == (everybody is None):
        fail("give either a person, or --all with a file for everybody's", 2)
    if everybody is not None:
        _recommend_everybody(everybody, limit, as_json)
        return

    from app.bootstrap import open_shop
    from retrieval.recommend import RecommendationQuery

    with closing(open_shop(read_settings(language_model="none"))) as shop:
        _show(shop.recommender.recommend(RecommendationQuery(user_id=user, limit=limit)), as_json)


def _recommend_everybody(out: Path, limit: int, as_json: bool) -> None:
    from contextlib import closing

    from app.bootstrap import open_shop
    from retrieval.batch import recommend_everybody

    people = 0
    with (
        closing(open_shop(read_settings(language_model="none"))) as shop,
        out.open("w", encoding="utf-8") as file,
        progress_bar("recommending") as advance,
    ):
        for found in recommend_everybody(shop.live, shop.store, shop.recommender, limit, advance):
            pairs = zip(found.product_ids, found.scores, strict=True)
            items = [{"product_id": product_id, "score": round(score, 6)} for product_id, score in pairs]
            file.write(json.dumps({"user_id": found.user_id, "items": items}, ensure_ascii=False) + "\n")
            people += 1
    said = f"{people:,} people: {out}"
    say_json({"people": people, "file": str(out)}) if as_json else say(said)


def _show(ranking: Ranking, as_json: bool) -> None:
    from app.schemas import RankingResponse

    if as_json:
        say(RankingResponse.of(ranking).model_dump_json())
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from prompts.money import price_text

    table = Table("", "product", "price", "why", box=None)
    for place, item in enumerate(ranking.items, start=1):
        price = price_text(item.product.price) if item.product.price else "–"
        why = "; ".join(reason.text for reason in item.reasons)
        table.add_row(str(place), escape(item.product.title), price, escape(why))
    console = Console()
    if ranking.understood and ranking.understood.constraints:
        console.print("understood: " + ", ".join(c.label for c in ranking.understood.constraints), markup=False)
    for relaxation in ranking.relaxations:
        console.print(f"without “{relaxation.constraint.label}”: {relaxation.would_match} products", markup=False)
    console.print(table if ranking.items else "Nothing fits.")


@app.command()
def chat(user: Annotated[str | None, typer.Option(help="Speak as this person.")] = None) -> None:
    """Talk to the assistant in the terminal; an empty line ends it."""
    import asyncio
    import secrets
    from contextlib import closing

    from app.agent.situation import ChatTurn
    from app.bootstrap import open_shop

    async def converse(shop: Shop) -> None:
        conversation = secrets.token_hex(8)
        while text := (await asyncio.to_thread(input, "you> ")).strip():
            turn = ChatTurn(text, conversation, user_id=user)
            answer = await shop.assistant.answer(turn)
            async for piece in shop.assistant.speak(turn, answer):
                sys.stdout.write(piece)
                sys.stdout.flush()
            say("")

    with closing(open_shop(read_settings())) as shop:
        try:
            asyncio.run(converse(shop))
        except (EOFError, KeyboardInterrupt):
            say("")


@app.command()
def vllm(
    model: Annotated[
        str | None, typer.Option(help="A folder or hub id; default: TASTELINE_LANGUAGE_MODEL_NAME.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 8081,
    adapter: Annotated[
        list[str] | None, typer.Option(help="A LoRA adapter: a trained model's id, or NAME=FOLDER; may be repeated.")
    ] = None,
    trained: Annotated[
        str | None, typer.Option(help="Serve the merged weights of this trained llm or reranker, under its id.")
    ] = None,
    python: Annotated[Path | None, typer.Option(help="With vLLM; default: that of `make vllm`.")] = None,
    max_model_len: Annotated[int, typer.Option(min=256, help="Tokens of prompt and answer together.")] = 4096,
    question: Annotated[str, typer.Option(help="The golden prompt.")] = "What is the capital of Japan?",
    expect: Annotated[str, typer.Option(help="Must occur in its greedy answer; '' skips it.")] = "Tokyo",
    check: Annotated[bool, typer.Option("--check", help="Start, warm, ask, report as JSON and stop.")] = False,
) -> None:
    """Run a vLLM server bound to loopback, warm and checked, until told to end."""
    from app import vllm_server
    from retrieval.adapters.weights import language_model_folder
    from retrieval.registry import Registry

    settings = read_settings(language_model_name=model)
    registry = Registry(settings.home)
    interpreter, adapters = vllm_server.python_of(python), vllm_server.adapters_of(adapter or [], registry)
    vllm_server.free_port(port)  # told before the weights are converted
    plan = vllm_server.Plan(
        language_model_folder(settings.language_model_name, settings.home / "models"),
        interpreter,
        settings.home,
        port,
        adapters,
        max_model_len,
        settings.language_model_key.get_secret_value() if settings.language_model_key else None,
        vllm_server.Golden(question, expect),
    )
    if trained is not None:
        plan = vllm_server.trained_plan(plan, trained, registry)
    sys.stderr.write(f"tasteline: vLLM starts with {plan.name}, some minutes the first time; log: {plan.log}\n")
    say_json(vllm_server.check(plan)) if check else vllm_server.serve(plan, sys.stderr.write)


@app.command()
def erase(
    user: str,
    retire: Annotated[
        bool, typer.Option("--retire", help="Take models that learned from the person out of service, for good.")
    ] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Retire them, and train others in their place, as their cards say.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove everything that is stored about a person, and say which models learned from them."""
    from contextlib import closing

    from app.engines import open_store, open_store_at
    from retrieval.erasure import erase_person

    settings = read_settings()
    with closing(open_store(settings)) as store:
        erased = erase_person(settings.home, store, open_store_at(settings), user, retire=retire or retrain)
    live: dict[str, str | None] = {kind: change.live for kind, change in erased.withdrawn.items()}
    trained = _trained_anew(erased.learners, settings) if retrain else {}
    if as_json:
        from dataclasses import asdict

        described = asdict(erased)
        del described["withdrawn"]
        say_json({"user": user, "removed": described.pop("rows"), **described, "live": live, "trained": trained})
        return
    say(f"{erased.rows} rows removed.")
    for line in _told_of_erasure(erased, live, trained):
        say(line)
    if retrain and not trained:
        say("No model in service was found that learned from this person: none was trained anew.")


def _told_of_erasure(
    erased: Erased, live: Mapping[str, str | None], trained: Mapping[str, str | None]
) -> Iterator[str]:
    for name, count in erased.files.items():
        yield f"{count} rows removed from {name}."
    for name in erased.caches:
        yield f"{name} thrown away; it is made again when it is wanted."
    for learner in erased.learners:
        how = "learned from this person" if learner.recorded else "may have learned from this person"
        yield f"{learner.kind} {learner.id} {how}{', and is live' if learner.live and not live else ''}."
    if erased.learners and not live:
        named = " ".join(dict.fromkeys(f"`tasteline train {each.kind}`" for each in erased.learners))
        yield f"They stay in use: `tasteline models retire ID` takes one out of service, {named} trains another."
        yield "Keep these ids: once the person is forgotten, nothing tells which models learned from them."
    for kind, now in live.items():
        yield f"{kind}: retired; {f'{now} is live' if now else 'none is live'}."
    for kind, made in trained.items():
        yield f"{kind}: {made} was trained." if made else f"{kind}: train it again with `tasteline train {kind}`."


def _trained_anew(learners: Sequence[Learner], settings: Settings) -> dict[str, str | None]:
    """Kind → id of a model in the place of those that were retired, trained as the live one was, or the newest."""
    from eval.lora_entry import Hearing
    from eval.retraining import trained_anew
    from retrieval.registry import Registry

    registry = Registry(settings.home)
    meant = {each.kind: each for each in sorted(learners, key=lambda each: (each.live, each.id))}
    with progress_bar("embedding") as advance:
        hearing = Hearing(_told, embedding=advance)
        return {kind: trained_anew(registry.find(each.id).card, settings, hearing) for kind, each in meant.items()}


@app.command()
def export(user: str) -> None:
    """Print everything that is stored about a person, as JSON."""
    from contextlib import closing

    from app.engines import open_store

    with closing(open_store(read_settings())) as store:
        say_json(store.export_user(user))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what is configured, what works, and what to do about the rest."""
    from app.doctor import examine

    findings = examine(read_settings())
    if as_json:
        say_json({finding.part: {"ok": finding.ok, "detail": finding.detail} for finding in findings})
    else:
        for finding in findings:
            say(f"{'ok  ' if finding.ok else 'FAIL'} {finding.part}: {finding.detail}")
    if not all(finding.ok for finding in findings):
        raise SystemExit(3)


Save = Annotated[str | None, typer.Option(help="Keep the result as eval/results/NAME.json.")]


def _report(report: dict[str, object], save: str | None, as_json: bool) -> None:
    """To standard output, and into the results folder where that was asked for."""
    from eval.results import commit_of, markdown_table

    if save:
        _saved(report, save)
    commit = commit_of(Path(__file__).parent)
    report = {**report, "commit": commit.sha if commit else None}
    if as_json:
        say_json(report)
    else:
        say(markdown_table(report))


def _saved(report: Mapping[str, object], name: str) -> None:
    from eval.results import write_result

    results = Path(__file__).parents[1] / "eval" / "results"
    sys.stderr.write(f"written: {write_result(report, results, name)}\n")


def _reports(reports: Mapping[str, dict[str, object]], save: str | None, as_json: bool) -> None:
    """Several results of one task: as JSON one object, the first with the others under their names."""
    if not as_json:
        for name, report in reports.items():
            _report(report, f"{save}-{name}" if save and name else save, as_json)
        return
    first, *others = reports
    for name in reports if save else ():
        _saved(reports[name], f"{save}-{name}" if name else str(save))
    _report({**reports[first], **{name: reports[name] for name in others}}, None, as_json)


@evaluate.command("search")
def eval_search(
    data: Annotated[Path, typer.Option(help="A folder with products.jsonl and judgements*.csv.")],
    encoder: Annotated[str | None, typer.Option(help="A tuned one beside: an id of the registry, or a folder.")] = None,
    reranker: Annotated[
        str | None, typer.Option(help="A tuned one beside: an id of the registry, or a folder.")
    ] = None,
    judgements: Annotated[str | None, typer.Option(help="Names of files, with commas between; default: all.")] = None,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """nDCG, condensed nDCG and recall of words, meaning, their plain fusion, and this service."""
    from eval.served import Tuned, run_search

    files = [name.strip() for name in judgements.split(",")] if judgements else None
    with progress_bar("embedding") as advance:
        report = run_search(data, read_settings(), advance, Tuned(encoder, reranker), files)
    _report(report.as_mapping(), save, as_json)


NextItemData = Annotated[
    str,
    typer.Option(help="A folder: items.csv + interactions.csv, RecBole, Hugging Face, events.csv; or completejourney."),
]
Systems = Annotated[str | None, typer.Option(help="Names, with commas between; default: all that the data allows.")]
ProtocolOption = Annotated[
    str,
    typer.Option("--protocol", help="leave-one-out, or where times are known temporal; session (next-item only)."),
]
PROTOCOLS = ("leave-one-out", "temporal")
SplitOption = Annotated[str, typer.Option("--split", help="test, or valid while settings are being chosen.")]
Seed = Annotated[int, typer.Option(help="Of every draw.")]


def _asked(data: str, systems: str | None, protocol: str, split: str, seed: int, audit: bool = False) -> Asked:
    from eval.recommending import Asked, names

    if protocol not in PROTOCOLS:
        fail(f"--protocol {protocol!r} is not known here; there are {', '.join(PROTOCOLS)}, session (next-item)", 2)
    if split not in ("test", "valid"):
        fail(f"--split {split!r} is not known; there are test and valid", 2)
    return Asked(data, protocol, split, names(systems), seed, audit)  # type: ignore[arg-type]


def _told(name: str) -> None:
    sys.stderr.write(f"tasteline: {name}\n")


@evaluate.command("next-item")
def eval_next_item(
    data: NextItemData,
    systems: Systems = None,
    protocol: ProtocolOption = "leave-one-out",
    split: SplitOption = "test",
    sampled: Annotated[
        int, typer.Option(min=0, help="Rank against so many drawn items, only to reproduce old papers; 0: all items.")
    ] = 0,
    audit: Annotated[bool, typer.Option("--audit", help="First look whether a system knows planted targets.")] = False,
    seed: Seed = 0,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """What people turn to next: full ranking by every baseline and by this service."""
    if protocol == "session":
        _in_session(_asked(data, systems, "temporal", split, seed, audit), sampled, save, as_json)
        return
    from eval.recommending import run_next_item

    asked = _asked(data, systems, protocol, split, seed, audit)
    with progress_bar("embedding") as advance:
        _report(run_next_item(asked, read_settings(), _told, advance, sampled=sampled), save, as_json)


def _in_session(asked: Asked, sampled: int, save: str | None, as_json: bool) -> None:
    from dataclasses import replace

    from eval.in_session import run_in_session

    if sampled:
        fail("--sampled is for leave-one-out: no paper ranks the steps of a session against a sample", 2)
    with progress_bar("embedding") as advance:
        reports = run_in_session(replace(asked, protocol="session"), read_settings(), _told, advance)
    _reports(reports, save, as_json)


@evaluate.command("cold-start")
def eval_cold_start(
    data: NextItemData,
    systems: Systems = None,
    protocol: ProtocolOption = "leave-one-out",
    split: SplitOption = "test",
    people: Annotated[int | None, typer.Option(min=1, help="At most so many drawn of each kind; default: all.")] = None,
    seed: Seed = 0,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """People of whom 0, 1 or 2-4 events or one sentence is known, and items that nobody had bought."""
    from eval.recommending import run_cold_start

    with progress_bar("embedding") as advance:
        reports = run_cold_start(
            _asked(data, systems, protocol, split, seed), read_settings(), _told, advance, most=people
        )
    _reports(reports, save, as_json)


@evaluate.command("ablation")
def eval_ablation(
    data: NextItemData,
    systems: Annotated[
        str | None, typer.Option(help="Names of variants, with commas between; default: all of them.")
    ] = None,
    protocol: ProtocolOption = "leave-one-out",
    split: SplitOption = "valid",
    seed: Seed = 0,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """What each part of the learned ranker brings and costs: it is trained once more without each."""
    from eval.ablation import run_ablation

    with progress_bar("embedding") as advance:
        reports = run_ablation(_asked(data, systems, protocol, split, seed), read_settings(), _told, advance)
    _reports(reports, save, as_json)


@evaluate.command("transfer")
def eval_transfer(
    data: Annotated[str, typer.Option(help="Where people are known: a next-item set; alone, one with departments.")],
    to: Annotated[Path | None, typer.Option(help="Where they come to: another set.")] = None,
    shared: Annotated[Path | None, typer.Option(help="A table of who is in both, NAME_user_id of each set.")] = None,
    systems: Systems = None,
    split: SplitOption = "test",
    seed: Seed = 0,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """Does what people did in one category say what they will want in another? With and without their history."""
    from eval.transfer import run_transfer

    with progress_bar("embedding") as advance:
        asked = _asked(data, systems, "temporal", split, seed)
        reports = run_transfer(asked, to, shared, read_settings(), _told, advance)
    _reports(reports, save, as_json)


@evaluate.command("pretraining")
def eval_pretraining(
    data: Annotated[str, typer.Option(help="Where it is to learn: a next-item set.")],
    begin: Annotated[str, typer.Option("--from", help="Where it learned before: another one.")],
    epochs: Annotated[int, typer.Option(min=1, help="Of each of the two trainings.")] = 12,
    seed: Seed = 0,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """Does what a network learned in one shop spare another shop time? Both learning curves on the valid part."""
    from eval.pretraining import run_pretraining

    with progress_bar("embedding") as advance, epochs_told() as heard:
        report = run_pretraining(begin, data, read_settings(), heard, advance, epochs=epochs, seed=seed)
    _report(report, save, as_json)


@evaluate.command("rerank")
def eval_rerank(
    data: Annotated[str, typer.Option(help="A next-item set, or a folder with products.jsonl and judgements*.csv.")],
    systems: Systems = None,
    first: Annotated[
        str, typer.Option(help="Whose list is put in order, where no candidates are given.")
    ] = "tasteline",
    candidates: Annotated[Path | None, typer.Option(help="A TREC run with the candidates.")] = None,
    run: Annotated[list[str] | None, typer.Option(help="An order from outside as NAME=RUN; may be repeated.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for every system's run, and what a reranker must know.")
    ] = None,
    people: Annotated[int, typer.Option(min=1, help="Drawn; every other one with one or two last events.")] = 2_000,
    depth: Annotated[int, typer.Option(min=1, max=500, help="How many candidates.")] = 20,
    reranker: Annotated[str | None, typer.Option(help="A tuned one: an id of the registry, or a folder.")] = None,
    llm: Annotated[str | None, typer.Option(help="A tuned one, which judges each candidate.")] = None,
    untuned: Annotated[bool, typer.Option("--untuned", help="The language model of the settings judges too.")] = False,
    protocol: ProtocolOption = "leave-one-out",
    split: SplitOption = "test",
    seed: Seed = 0,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """Candidates in, orders out: who puts a given short list in the best order."""
    from eval.reranking import Rerank, run_rerank
    from eval.tuned_orders import TunedModels

    pairs = [each.partition("=") for each in run or []]
    if wrong := [name for name, equals, path in pairs if not (name and equals and path)]:
        fail(f"--run {wrong[0]!r}: give NAME=FILE", 2)
    models = TunedModels(reranker, llm, untuned)
    rerank = Rerank(first, candidates, {name: Path(path) for name, _, path in pairs}, out, people, depth, models)
    with progress_bar("embedding") as advance:
        report = run_rerank(_asked(data, systems, protocol, split, seed), rerank, read_settings(), _told, advance)
    _report(report, save, as_json)


@evaluate.command("interests")
def eval_interests(
    data: Annotated[str, typer.Option(help="completejourney: a year of real purchases.")] = "completejourney",
    levels: Annotated[str | None, typer.Option(help="Of category, product, anything; default: all.")] = None,
    seed: Seed = 0,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """What people will buy in the next 30 days, by category and by product, and how sure one may be."""
    from eval.interests import levels_of, run

    _reports(run(data, read_settings(), seed, _told, levels_of(levels)), save, as_json)


@evaluate.command("offers")
def eval_offers(
    data: Annotated[str, typer.Option(help="completejourney: real coupon campaigns.")] = "completejourney",
    part: cli_offers.Part = "all",
    seed: Seed = 0,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """Who answers an offer and with what, what else goes into a cart, and what a paid place costs."""
    _reports(cli_offers.reports(data, part, seed, _told), save, as_json)


@evaluate.command("drift")
def eval_drift(
    examples: Annotated[
        int, typer.Option(min=0, help="Instead: so many turns of real households, into a file to be read.")
    ] = 0,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """How soon a turn of interests is noticed, and how often one is seen that was none, on people made up."""
    if examples:
        from eval.drift_examples import write_examples

        file = read_settings().home / "eval" / "drift-examples.md"
        written, looked = write_examples(file, examples)
        found = {"examples": written, "households": looked, "file": str(file)}
        say_json(found) if as_json else say(f"{written} of {looked} households: {file}")
        return
    from eval.drift import run

    _report(run(told=_told), save, as_json)


@evaluate.command("compare")
def eval_compare(
    before: Annotated[Path, typer.Argument(help="A result file.")],
    after: Annotated[Path, typer.Argument(help="Another one.")],
    as_json: AsJson = False,
) -> None:
    """What moved between two results, and whether it is noise."""
    from eval.compare import compare
    from eval.results import read_result

    first, second = (read_result(path.parent, path.stem) for path in (before, after))
    found = compare(first, second, names=(str(before), str(after)))
    say_json(found.as_mapping()) if as_json else say(found.markdown())


@evaluate.command("seeds")
def eval_seeds(
    results: Annotated[list[Path], typer.Argument(help="Result files that differ in their seed alone.")],
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """What systems reach whatever the luck of their draws: several seeds as one result."""
    from eval.results import read_result
    from eval.seeds import over_seeds

    _report(over_seeds([read_result(path.parent, path.stem) for path in results]), save, as_json)


@evaluate.command("report")
def eval_report(
    data: Annotated[Path, typer.Option(help="A folder of data sets: everything that can be measured on them is.")],
    out: Annotated[Path, typer.Option(help="The page; the results lie beside it.")] = Path("report/index.html"),
    only: Annotated[str | None, typer.Option(help="Names of results, with commas between; default: all.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure anew what this commit has measured before.")] = False,
) -> None:
    """Everything, measured on a folder of data sets and put on one page that opens without a server."""
    from eval.everything import run_everything

    with progress_bar("embedding") as advance:
        written = run_everything(data, out, read_settings(), _told, advance, only=only, again=again)
    say(f"{written}")


class Part(StrEnum):
    """What a language model may do for the assistant, each measured with and without it."""

    CLAIMS = "claims"
    UNDERSTANDING = "understanding"
    JUDGING = "judging"
    INTERESTS = "interests"
    TURNS = "turns"


@evaluate.command("assistant")
def eval_assistant(
    part: Annotated[Part, typer.Option(help="Which of the language model's tasks.")] = Part.CLAIMS,
    data: Annotated[
        Path | None, typer.Option(help="For judging and interests: a folder with items.csv and interactions.csv.")
    ] = None,
    search_data: Annotated[
        Path | None, typer.Option(help="For judging: a folder with products.jsonl and judgements*.csv.")
    ] = None,
    answers: Annotated[int, typer.Option(min=1, help="For claims.")] = 500,
    people: Annotated[int, typer.Option(min=1, help="For judging and interests.")] = 500,
    split: Annotated[
        str, typer.Option(help="test, or what settings are chosen on: dev (understanding), valid.")
    ] = "test",
    tuned: Annotated[
        str | None,
        typer.Option(help="For understanding: beside it, a tuned model: an id of the registry, or a folder."),
    ] = None,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """What the language model adds: true claims, requests understood, a better order, interests in words."""
    for name, report in _assistant_reports(part, data, search_data, answers, people, split, tuned):
        _report(report, f"{save}-{name}" if save and name else save, as_json)


def _assistant_reports(
    part: Part,
    data: Path | None,
    search_data: Path | None,
    answers: int,
    people: int,
    split: str,
    tuned: str | None = None,
) -> Iterator[tuple[str, dict[str, object]]]:
    """(name of a part of the result, or "", and the result)."""
    settings = read_settings()
    if tuned is not None and part is not Part.UNDERSTANDING:
        fail(f"--tuned is for --part {Part.UNDERSTANDING}", 2)
    if part is Part.CLAIMS:
        from eval.assistant import run_claims

        with progress_bar("talking") as advance:
            yield "", run_claims(settings, answers, progress=advance)
    elif part is Part.UNDERSTANDING:
        from eval.understanding import score

        yield "", score.run(settings, "dev" if split == "dev" else "test", tuned=tuned)
    elif part is Part.TURNS:
        from eval import turn_words

        with progress_bar("visiting") as advance:
            reports = turn_words.run(settings, "valid" if split == "valid" else "test", progress=advance)
        yield from reports.items()
    elif data is None or (part is Part.JUDGING and search_data is None):
        fail(f"--part {part} needs --data{' and --search-data' if part is Part.JUDGING else ''}", 2)
    elif part is Part.INTERESTS:
        from eval import interest_words

        yield "", interest_words.run(settings, data, people, "valid" if split == "valid" else "test")
    elif search_data is not None:
        from eval import judging

        yield from judging.run(
            settings, search_data, data, people=people, split="valid" if split == "valid" else "test"
        ).items()


BenchData = Annotated[Path | None, typer.Option(help="A feed to measure on; default: the demo shop.")]


def _bench_products(data: Path | None) -> list[Product]:
    """Products of the demo shop, or of a feed, read as an import reads them."""
    from eval import demo_shop

    if data is None:
        return demo_shop.products()
    from eval.served import products_of

    return products_of(data)


@bench.command("index")
def bench_index(
    data: BenchData = None,
    limit: Annotated[int, typer.Option(min=20, help="Products to encode on each side.")] = 1_000,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """Products embedded per second, against SentenceTransformer.encode with its defaults."""
    from eval.bench import index

    settings = read_settings()
    report = index.run(_bench_products(data), limit, settings.home / "models")
    _report(_described(report, data, {"limit": limit}), save, as_json)


@bench.command("search")
def bench_search(
    data: BenchData = None,
    seconds: Annotated[float, typer.Option(min=0.5, help="Of load in each turn.")] = 4.0,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """The endpoint's latency alone and throughput with 32 clients, against a plain encoder + FAISS route."""
    from eval.bench import search

    home = read_settings().home / "bench" / (data.name if data else "demo")
    report = search.run(_bench_products(data), home, seconds)
    _report(_described(report, data, {"seconds": seconds}), save, as_json)


@bench.command("filters")
def bench_filters(data: BenchData = None, save: Save = None, as_json: AsJson = False) -> None:
    """Recall against an exact scan, and latency, under filters that keep 50 % to 0.1 %."""
    from eval.bench import filters

    home = read_settings().home / "bench" / (data.name if data else "demo")
    _report(_described(filters.run(_bench_products(data), home), data, {}), save, as_json)


@bench.command("eval")
def bench_eval(
    data: Annotated[Path | None, typer.Option(help="A next-item folder; default: arrays of the same size.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Turns of each side.")] = 3,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """The harness's own speed and memory, against RecTools, ranx and pytrec_eval (`make rivals` installs them)."""
    from eval.bench import evaluation

    _report(_described(evaluation.run(data, repeats=repeats), data, {"repeats": repeats}), save, as_json)


@bench.command("recommend")
def bench_recommend(
    data: Annotated[
        Path | None, typer.Option(help="A next-item folder; default: a made-up one like amazon-beauty.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Turns of each side.")] = 3,
    million: Annotated[bool, typer.Option(help="Also a million products, which takes most of the time.")] = True,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """A request against the bare calls of its models, everybody's against RecTools and implicit (`make rivals`)."""
    from eval.bench import recommend

    report = recommend.run(data, repeats=repeats, million=recommend.MILLION if million else None)
    described = _described(report, data, {"repeats": repeats, "million": million})
    _report({**described, "dataset": data.name if data else "made up"}, save, as_json)


@bench.command("train")
def bench_train(
    data: Annotated[
        Path | None, typer.Option(help="A next-item folder; without it fine-tuning is measured, on the demo shop.")
    ] = None,
    split: SplitOption = "test",
    target: Annotated[float, typer.Option(min=0, max=1, help="nDCG@10 to be reached.")] = 0.058,
    minutes: Annotated[float, typer.Option(min=0, help="Of learning, at most, for each side.")] = 20.0,
    examples: Annotated[int, typer.Option(min=8, help="Chats to fine-tune on.")] = 128,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """Seconds until a next-item network has learned so much, against SASRec of RecTools (`make rivals`).

    Without --data: tokens a second of a LoRA job, against a plain transformers Trainer.
    """
    settings = read_settings()
    if data is None:
        from eval.bench import lora

        report = lora.run(_bench_products(None), settings.home / "models", examples=examples)
        _report(_described(report, None, {"examples": examples}), save, as_json)
        return
    from eval.bench import training

    asked = _asked(str(data), None, "leave-one-out", split, 0)
    report = training.run(data, settings.home, part=asked.part, target=target, minutes=minutes)
    described = _described(report, data, {"split": split, "target": target, "minutes": minutes})
    _report({**described, "dataset": data.name}, save, as_json)


@bench.command("swap")
def bench_swap(
    data: BenchData = None,
    kind: Annotated[str, typer.Option(help="encoder or reranker.")] = "encoder",
    exchanges: Annotated[int, typer.Option(min=1, help="Promotions while clients search.")] = 10,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """Models exchanged under load: failed requests, the longest stall, memory before and after."""
    from eval.bench import swap
    from retrieval.model_card import kind_of

    home = read_settings().home / "bench" / f"swap-{kind}-{data.name if data else 'demo'}"
    report = swap.run(_bench_products(data), home, kind_of(kind), exchanges)
    _report(_described(report, data, {"kind": kind, "exchanges": exchanges}), save, as_json)


@bench.command("chat")
def bench_chat(
    data: BenchData = None,
    repeats: Annotated[int, typer.Option(min=1, help="Turns of each side, alone and with 16 conversations.")] = 3,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """Time to the first and to the last token of an answer, against the bare engine on the same prompts."""
    from eval.bench import chat

    settings = read_settings()
    settings = settings.model_copy(update={"home": settings.home / "bench" / (data.name if data else "demo")})
    report = chat.run(_bench_products(data), settings, repeats)
    _report(_described(report, data, {"repeats": repeats}), save, as_json)


@bench.command("interests")
def bench_interests(
    data: BenchData = None,
    repeats: Annotated[int, typer.Option(min=1, help="Turns of each side.")] = 30,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """A person's interests over time with 10, 1,000 and 10,000 events, against pandas group-bys."""
    from eval.bench import interests

    home = read_settings().home / "bench" / f"interests-{data.name if data else 'demo'}"
    report = interests.run(_bench_products(data), home, repeats)
    _report(_described(report, data, {"repeats": repeats}), save, as_json)


def _described(report: dict[str, object], data: Path | None, settings: dict[str, object]) -> dict[str, object]:
    """With what a result file must say beside the figures."""
    from eval.datasets import checksum_of

    files = [data] if data and data.is_file() else sorted(data.glob("products.jsonl")) if data else []
    return {
        **report,
        "dataset": data.name if data else "demo shop",
        "settings": settings,
        "seed": 7,
        "checksum": checksum_of(files) if files else None,
    }


if __name__ == "__main__":
    main()
