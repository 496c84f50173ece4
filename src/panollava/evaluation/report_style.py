"""The report's style sheet: one column of text, wide tables that scroll, light, dark and paper."""

from panollava.evaluation.report_palette import DARK, LIGHT, css_variables

_STYLE = """
*,*::before,*::after{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--text);line-height:1.55;
  font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Noto Sans",
  "Liberation Sans",sans-serif}
header,main,footer{max-width:62rem;margin:0 auto;padding:0 1.25rem}
h1,h2,h3{line-height:1.2;text-wrap:balance;letter-spacing:-.01em}
h1{margin:.1rem 0 .4rem;font-size:clamp(1.7rem,4vw,2.4rem);overflow-wrap:anywhere}
h2{margin:0 0 .9rem;font-size:1.35rem}
h3{margin:0 0 .7rem;font-size:1.02rem;overflow-wrap:anywhere;display:flex;flex-wrap:wrap;gap:.3rem .8rem;
  justify-content:space-between}
p{margin:0 0 .9rem;max-width:46rem}
a{color:var(--model);text-underline-offset:.15em}
:focus-visible{outline:2px solid var(--model);outline-offset:3px;border-radius:3px}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
header{padding-top:2.4rem}
.kicker{margin:0;color:var(--muted);font-size:.85rem;letter-spacing:.04em}
.facts-line{color:var(--muted)}
nav ul{display:flex;flex-wrap:wrap;gap:.35rem 1.1rem;margin:0 0 1.4rem;padding:.7rem 0 0;list-style:none;
  border-top:1px solid var(--line);font-size:.92rem}
section{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:1.5rem 1.6rem;
  margin-bottom:1.25rem;scroll-margin-top:1rem}
section>:last-child{margin-bottom:0}
.lead{font-size:1.18rem;line-height:1.5;max-width:50rem}
.note,.absent{color:var(--muted);font-size:.9rem}
.absent{border-left:3px solid var(--line);padding-left:.8rem;overflow-wrap:anywhere}
.spoken{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}

.figures{display:grid;grid-template-columns:repeat(3,1fr);gap:1.3rem 1.6rem;margin:1.3rem 0 0}
.figure{border-top:3px solid var(--line);padding-top:.55rem}
.figure.model{border-color:var(--model)}
.figure.blind{border-color:var(--blind)}
.figure.chance{border-color:var(--chance)}
.figure dt{color:var(--muted);font-size:.9rem}
.figure dd{margin:0}
.figure .value{font-size:1.75rem;font-weight:600;line-height:1.25;letter-spacing:-.02em;
  font-variant-numeric:tabular-nums}

.chart{margin:0 0 1.2rem;overflow-x:auto}
.chart img{display:block;max-width:100%;height:auto}
.pair{display:flex;flex-wrap:wrap;gap:.5rem 1rem;justify-content:space-between;align-items:flex-start}

.scroll{overflow-x:auto;margin:0 0 1rem}
table{border-collapse:collapse;width:100%;font-size:.92rem}
caption{text-align:left;color:var(--muted);font-size:.9rem;padding-bottom:.4rem}
th,td{padding:.42rem .7rem .42rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th:last-child,td:last-child{padding-right:0}
thead th{color:var(--muted);font-weight:500;vertical-align:bottom;border-bottom-color:var(--muted)}
tbody th{font-weight:500}
tbody tr:last-child>*{border-bottom:0}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
thead .number{white-space:normal}
#kinds tbody tr:first-child>*{font-weight:700;border-bottom-color:var(--muted)}
#kinds caption,#captions caption,#samples caption{position:absolute;width:1px;height:1px;overflow:hidden;
  clip-path:inset(50%)}
#captions tbody th{white-space:nowrap}
#captions tr>:last-child{padding-left:.9rem}
#captions td:last-child{color:var(--muted)}
#captions code{font-size:.8rem;overflow-wrap:anywhere}
.missing{color:var(--wrong);font-weight:500}
.reason{overflow-wrap:anywhere}

.panorama{border-top:1px solid var(--line);padding-top:1.2rem;margin-top:1.4rem}
.tally{color:var(--muted);font-weight:400;font-size:.92rem}
.erp{margin:0 0 1rem}
.erp img{display:block;width:100%;height:auto;border-radius:4px 4px 0 0;background:var(--line)}
.ruler{position:relative;height:2.9rem;border-top:2px solid var(--text);font-size:.82rem;line-height:1.25}
.tick{position:absolute;top:0;padding-top:.5rem;transform:translateX(-50%);text-align:center;white-space:nowrap}
.tick::before{content:"";position:absolute;top:0;left:50%;height:.45rem;border-left:2px solid var(--text)}
.tick.minor::before{height:.3rem;border-left-width:1px}
.tick.first{transform:none;text-align:left}
.tick.first::before{left:0}
.tick.last{transform:translateX(-100%);text-align:right}
.tick.last::before{left:auto;right:0}
.side{display:block;font-weight:500}
.degrees{color:var(--muted);font-size:.76rem;font-variant-numeric:tabular-nums}
.words{overflow-wrap:anywhere}
#samples tbody th{font-weight:400;min-width:12rem}
.verdict{white-space:nowrap;font-weight:600}
.verdict.right{color:var(--right)}
.verdict.wrong{color:var(--wrong)}
.verdict.none{color:var(--muted);font-weight:400}

.components{margin:0;padding:0;list-style:none;display:flex;flex-wrap:wrap;gap:.25rem .35rem;min-width:9rem}
.components li{border:1px solid var(--line);border-radius:5px;padding:0 .45rem;white-space:nowrap;
  font-size:.86rem}
.components.trained li{border-color:var(--right);color:var(--right)}
.components.frozen li{color:var(--muted)}
.size{font-variant-numeric:tabular-nums}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));
  gap:.8rem 1.4rem;margin:0 0 1.2rem}
.facts dt{color:var(--muted);font-size:.86rem}
.facts dd{margin:0;overflow-wrap:anywhere}
details{margin:0 0 1rem}
summary{cursor:pointer;color:var(--model);padding:.2rem 0}
pre{margin:.6rem 0 0;padding:1rem;overflow:auto;max-height:32rem;background:var(--page);border-radius:6px;
  font-size:.82rem;line-height:1.5;tab-size:2}
footer{color:var(--muted);font-size:.86rem;padding-bottom:2.4rem}

@media screen and (max-width:46rem){
  header,main,footer{padding-left:.8rem;padding-right:.8rem}
  section{padding:1.1rem .95rem}
  .figures{grid-template-columns:repeat(2,1fr);gap:1rem}
  .figure .value{font-size:1.45rem}
  .stacks,.stacks tbody,.stacks tr,.stacks tbody th,.stacks caption{display:block}
  .stacks tbody tr{padding:.6rem 0;border-bottom:1px solid var(--line)}
  .stacks tbody tr:last-child{border-bottom:0}
  .stacks tbody tr>*{border:0;padding:.05rem 0;text-align:left;white-space:normal}
  .stacks thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
  .stacks td{display:grid;grid-template-columns:6.4rem minmax(0,1fr);gap:.6rem}
  #captions td:last-child{padding-left:0}
  .stacks td::before{content:attr(data-name);color:var(--muted)}
}
@media print{
  :root{--page:#fff;--line:#bbb}
  @page{margin:14mm}
  body{font-size:10pt}
  header,main,footer{max-width:none;padding:0}
  nav{display:none}
  section{border:0;padding:0 0 .6rem;margin:0 0 .8rem}
  .chart,.scroll{overflow:visible}
  .chart,.erp,.figure,tr,h2,h3{break-inside:avoid}
  h2,h3,caption,summary{break-after:avoid}
  .chart img{max-width:100%;max-height:11cm;width:auto}
  pre{max-height:none;white-space:pre-wrap}
}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
"""


def style_sheet() -> str:
    """Return the whole style sheet, with the colours of both palettes as variables."""
    light = f":root{{color-scheme:light dark;{css_variables(LIGHT)}}}"
    dark = f"@media screen and (prefers-color-scheme:dark){{:root{{{css_variables(DARK)}}}}}"
    return f"{light}{dark}{_STYLE}"
