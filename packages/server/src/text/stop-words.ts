import type { Language } from "./settings.ts";

/**
 * Words that are frequent and mean little in a query: articles, pronouns, prepositions, auxiliaries and question words.
 * "down", "off", "own" and the like are not included, because they mean something.
 */
const STOP_WORDS: Partial<Record<Language, Set<string>>> = {
  english:
    wordsOf(`a about after all also am an and any are as at be because been before being between both but by
    can could did do does doing during each for from had has have having he her here him his how i if in into is it
    its me more most my no nor not of on onto or other our she should so some such than that the their them then
    there these they this those through to was we were what when where which while who whom whose why will with
    would you your`),
  french: wordsOf(`a ai au aux avec c ce ces cet cette comme comment d dans de des du elle elles en est et eu
    était été être il ils j je l la le les leur leurs lui m ma mais me mes mon n ne nos notre nous on ont ou où par pas
    pour pourquoi qu quand que quel quelle quelles quels qui quoi s sa sans se ses si son sont sur t ta te tes ton tu un une
    vos votre vous y`),
  german:
    wordsOf(`aber alle als am an auch auf aus bei bin bis bist da damit das dass dem den denn der des die dies
    diese diesem diesen dieser dieses doch dort du durch ein eine einem einen einer eines er es für hab habe haben hat
    hatte hatten ich ihm ihn ihnen ihr ihre im in ist kann kein keine können man mein mit nach nicht noch nur ob oder
    ohne sein seine sich sie sind so über um und uns unter vom von vor war waren warum was weil welche welchem
    welchen welcher welches wenn wer werden wie wir wird wo wurde wurden zu zum zur zwischen`),
  spanish:
    wordsOf(`a al algo como con cual cuales cuando cuál cuáles cuándo cuánto cómo de del desde donde dónde e el
    ella ellas ellos en entre era eran es esa ese eso esta este esto está están fue fueron ha han hay la las le les lo los
    más me mi muy no nos o para pero por porque que quien quién qué se ser si sin sobre son su sus también te tiene un
    una unos y ya`),
  italian:
    wordsOf(`a ad ai al alla alle agli anche che chi ci come con così cosa cui da dai dal dalla dalle degli dei
    del della delle di dove e è ed era erano essere gli ha hanno i il in io la le lei li lo loro lui ma mi ne negli nei
    nel nella nelle noi non o per perché più quale quali quando quanto quella quelle quelli quello questa queste
    questi questo se si sono sua sue sui sul sulla sulle suo suoi tra un una uno voi`),
  portuguese:
    wordsOf(`a à ao aos as às até com como da das de dela dele deles do dos e é ela elas ele eles em entre era
    eram essa esse esta está estão este eu foi foram há isso isto já lhe mais mas me muito na não nas nem no nos
    nós o onde os ou para pela pelas pelo pelos por porque qual quais quando que quem se sem ser seu seus sua suas são
    também te tem têm um uma você`),
  dutch:
    wordsOf(`aan al als bij dan dat de deze die dit doch door dus een en er geen had hadden heb hebben heeft het
    hij hoe hun ik in is je kan kunnen maar me meer men met mij mijn naar niet nog nu of om omdat ons onze ook op over
    te ten ter toch toen tot uit van veel voor waar waarom wanneer waren was wat we welk welke werd werden wie wij
    worden wordt zal ze zich zij zijn zo zonder zou`),
};

function wordsOf(list: string): Set<string> {
  return new Set(list.trim().split(/\s+/));
}

/**
 * A query without its stop words; empty if it has only stop words. A capitalized stop word stays, as in "WHO", "IT
 * support" or "vitamin A", unless the whole query is in capitals.
 */
export function withoutStopWords(query: string, language: Language): string {
  const stopWords = STOP_WORDS[language];
  if (!stopWords) return query;
  const isShouted = query === query.toUpperCase();
  const words = query.split(/\s+/).filter((word) => word !== "");
  const kept = words.filter((word, index) => {
    const bare = word.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, "").replace(/['’]s$/, "");
    const lower = bare.toLowerCase();
    if (!stopWords.has(lower)) return true;
    const isCapital = bare.slice(bare.length > 1 ? 1 : 0) !== lower.slice(bare.length > 1 ? 1 : 0);
    return isCapital && !isShouted && !(bare.length === 1 && index === 0);
  });
  return kept.join(" ");
}
