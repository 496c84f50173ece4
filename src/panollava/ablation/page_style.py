"""What the page of a study adds to the report's style sheet."""

STYLE = """
main section{overflow-wrap:anywhere}
main section th{overflow-wrap:break-word}
main section td{overflow-wrap:break-word}
main section code{overflow-wrap:anywhere}
#failed td:last-child{min-width:16rem}
header,main,footer{max-width:76rem}
.verdicts{margin:0;padding:0;list-style:none}
.verdicts li{display:grid;grid-template-columns:8.5rem minmax(0,1fr);gap:.2rem 1rem;padding:.42rem 0;
  border-bottom:1px solid var(--line)}
.verdicts li:last-child{border-bottom:0}
#arms table,#others table,#groups table{font-size:.88rem}
#arms tbody th,#others tbody th,#groups tbody th{min-width:9rem;max-width:18rem}
#arms thead th{overflow-wrap:normal;max-width:9rem}
#samples .erp{max-width:34rem}
#arms td .note,#arms td .verdict{white-space:nowrap}
#groups .theme>*{color:var(--muted);font-weight:600;padding-top:1.1rem}
#groups thead .number,#others thead .number{max-width:9rem;min-width:5.2rem;vertical-align:bottom}
#groups td.heat{background:var(--heat);text-align:right;padding:.42rem .6rem}
.gain{--heat:color-mix(in srgb,var(--right) calc(var(--part)*1%),var(--surface))}
.loss{--heat:color-mix(in srgb,var(--wrong) calc(var(--part)*1%),var(--surface))}
#samples table{font-size:.88rem}
#samples thead th{min-width:10rem;max-width:16rem;color:var(--text)}
#samples thead .note{display:block;font-weight:400}
#samples tbody th{min-width:8rem;max-width:14rem;font-weight:500}
.links{display:flex;flex-wrap:wrap;gap:.2rem .8rem}
@media screen and (max-width:46rem){.verdicts li{grid-template-columns:minmax(0,1fr)}}
"""
"""Heat is a share of the colour of right or wrong answers, so it follows the palette into dark mode."""
