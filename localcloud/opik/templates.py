"""Templates of the pages; everything that comes from a request is escaped by the environment."""

from __future__ import annotations

BASE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ title }} - LLM twin</title>
<style>
:root { color-scheme: light dark; --line: color-mix(in srgb, CanvasText 15%, Canvas); --bar: #3b82f6; --bad: #dc2626; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem; }
nav a { margin-right: 1rem; } h1 { font-size: 1.3rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0; font-size: 13px; }
.num { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.lane { position: relative; height: .9rem; background: color-mix(in srgb, CanvasText 6%, Canvas); }
.bar { position: absolute; height: 100%; background: var(--bar); border-radius: 2px; }
.bad { background: var(--bad); } .error { color: var(--bad); }
.tag { border: 1px solid var(--line); border-radius: .6rem; padding: 0 .45rem; margin-right: .3rem; font-size: 12px; }
summary { cursor: pointer; }
</style></head><body>
<nav><a href="/">Traces</a><a href="/experiments">Experiments</a><a href="/datasets">Datasets</a>
<a href="/prompts">Prompts</a></nav>
<h1>{{ title }}</h1>
{% block content %}{% endblock %}
</body></html>"""

TRACES = """{% extends "base" %}{% block content %}
<table><tr><th>started</th><th>name</th><th>tags</th><th>scores</th><th class="num">spans</th>
<th class="num">duration</th></tr>
{% for t in traces %}<tr><td>{{ (t.start_time or "")[:19] }}</td><td><a href="/traces/{{ t.id }}">{{ t.name }}</a>
{% if t.error_info %}<span class="error">failed</span>{% endif %}</td>
<td>{% for tag in t.tags or [] %}<span class="tag">{{ tag }}</span>{% endfor %}</td>
<td>{% for s in t.feedback_scores or [] %}{{ s.name }} {{ "%.2f"|format(s.value) }} {% endfor %}</td>
<td class="num">{{ t.span_count }}</td>
<td class="num">{% if t.ms is not none %}{{ "%.0f"|format(t.ms) }} ms{% else %}running{% endif %}</td></tr>
{% else %}<tr><td colspan="6">No trace has arrived yet.</td></tr>{% endfor %}</table>{% endblock %}"""

TRACE = """{% extends "base" %}{% block content %}
<p>{{ (trace.start_time or "")[:19] }}
{% if trace.ms is not none %}{{ "%.1f"|format(trace.ms) }} ms{% else %}running{% endif %}
{% for tag in trace.tags or [] %}<span class="tag">{{ tag }}</span>{% endfor %}</p>
<table><tr><th>span</th><th class="num">duration</th><th style="width:55%">when</th></tr>
{% for s in spans %}<tr><td style="padding-left:{{ s.depth * 1.2 + 0.6 }}rem"><details><summary>{{ s.name }}
{% if s.error_info %}<span class="error">failed</span>{% endif %}</summary>
{% for name, text in s.body %}<b>{{ name }}</b><pre>{{ text }}</pre>{% endfor %}</details></td>
<td class="num">{% if s.ms is not none %}{{ "%.1f"|format(s.ms) }} ms{% endif %}</td>
<td><div class="lane"><div class="bar{% if s.error_info %} bad{% endif %}"
 style="left:{{ "%.2f"|format(s.left) }}%;width:{{ "%.2f"|format(s.width) }}%"></div></div></td></tr>
{% endfor %}</table>
{% for name, text in body %}<h2>{{ name }}</h2><pre>{{ text }}</pre>{% endfor %}{% endblock %}"""

DATASETS = """{% extends "base" %}{% block content %}
<table><tr><th>name</th><th>created</th><th class="num">items</th></tr>
{% for d in datasets %}<tr><td><a href="/datasets/{{ d.id }}">{{ d.name }}</a></td><td>{{ d.created_at[:19] }}</td>
<td class="num">{{ d.dataset_items_count }}</td></tr>{% endfor %}</table>{% endblock %}"""

DATASET = """{% extends "base" %}{% block content %}
<table><tr><th>item</th><th>content</th></tr>
{% for i in items %}<tr><td>{{ i.id }}<br>{{ (i.created_at or "")[:19] }}</td><td><pre>{{ i.text }}</pre></td></tr>
{% endfor %}</table>{% endblock %}"""

EXPERIMENTS = """{% extends "base" %}{% block content %}
<table><tr><th>name</th><th>dataset</th><th>created</th><th class="num">items</th><th>mean scores</th></tr>
{% for e in experiments %}<tr><td><a href="/experiments/{{ e.id }}">{{ e.name }}</a></td><td>{{ e.dataset_name }}</td>
<td>{{ e.created_at[:19] }}</td><td class="num">{{ e.trace_count }}</td>
<td>{% for s in e.feedback_scores or [] %}{{ s.name }} {{ "%.3f"|format(s.value) }} {% endfor %}</td></tr>
{% endfor %}</table>{% endblock %}"""

EXPERIMENT = """{% extends "base" %}{% block content %}
<table><tr><th>trace</th><th>scores</th><th>output</th></tr>
{% for i in items %}<tr><td><a href="/traces/{{ i.trace_id }}">{{ i.dataset_item_id }}</a></td>
<td>{% for s in i.feedback_scores or [] %}{{ s.name }} {{ "%.3f"|format(s.value) }}<br>{% endfor %}</td>
<td><pre>{{ i.text }}</pre></td></tr>{% endfor %}</table>{% endblock %}"""

PROMPTS = """{% extends "base" %}{% block content %}
{% for p in prompts %}<h2>{{ p.name }}</h2>{% for v in p.versions %}<p>{{ v.version_number }}
<span class="tag">{{ v.commit }}</span>{{ v.created_at[:19] }}</p><pre>{{ v.template }}</pre>{% endfor %}
{% else %}<p>No prompt is registered yet.</p>{% endfor %}{% endblock %}"""

TEMPLATES = {
    "base": BASE,
    "traces": TRACES,
    "trace": TRACE,
    "datasets": DATASETS,
    "dataset": DATASET,
    "experiments": EXPERIMENTS,
    "experiment": EXPERIMENT,
    "prompts": PROMPTS,
}
