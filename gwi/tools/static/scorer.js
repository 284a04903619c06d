// How Sphinx's search weighs what it finds: what one reads comes before what one looks up, machinery comes last.
const WEIGHTS = [
  [/^(tutorials|glossary|known_differences|results\/(index|claims|explorer))/, 1.5],
  [/^runs\/|^results\/paper-mini/, 0.2],
  [/^(api\/gwi\.)?(tools|pipeline|commands)\b/, 0.7],
];

var Scorer = {
  score: ([page, , , , score]) => score * (WEIGHTS.find(([of]) => of.test(page)) || [null, 1])[1],
  objNameMatch: 11, objPartialMatch: 6, objPrio: {0: 15, 1: 5, 2: -5}, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
};
