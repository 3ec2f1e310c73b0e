// Amounts in minor units to text. The number of decimals follows the currency (JPY 0, USD 2, KWD 3).

const formats = new Map();

function formatOf(currency) {
  if (!formats.has(currency)) {
    const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
    formats.set(currency, { format, unit: 10 ** format.resolvedOptions().maximumFractionDigits });
  }
  return formats.get(currency);
}

/** `money({amount: 7999, currency: "USD"})` is "$79.99"; no price gives "". */
export function money(price) {
  if (!price) return "";
  const { format, unit } = formatOf(price.currency);
  return format.format(price.amount / unit);
}

/** A round amount such as "$50", for examples: `whole` major units. */
export function roundMoney(whole, currency) {
  return new Intl.NumberFormat(undefined, { style: "currency", currency, maximumFractionDigits: 0 }).format(whole);
}

/** Totals of lines `{price, quantity}`, one for each currency, as text; unpriced lines do not count. */
export function totals(lines) {
  const sums = new Map();
  for (const { price, quantity } of lines) {
    if (price) sums.set(price.currency, (sums.get(price.currency) ?? 0) + price.amount * quantity);
  }
  return [...sums].map(([currency, amount]) => money({ amount, currency })).join(" + ");
}

export const count = (number) => new Intl.NumberFormat().format(number);

/** `counted(1, "day")` is "1 day", `counted(2, "person", "people")` "2 people". */
export const counted = (number, one, more = `${one}s`) => `${count(number)} ${number === 1 ? one : more}`;
