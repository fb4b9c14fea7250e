// Cuts JSON text into its parts. The text of each value stays as it is, so 1 and 1.0 stay different and integers keep all digits. The text
// must be valid JSON, as all JSON is that a storage gets.

/** The members of a JSON object, in order: pairs of a key and the text of its value. Throws a `SyntaxError` for anything but an object. */
export function members(text: string): [key: string, value: string][];

/** The texts of the items of a JSON array. Throws a `SyntaxError` for anything but an array. */
export function items(text: string): string[];

/** The text of a JSON object with these members. */
export function object(members: Iterable<readonly [key: string, value: string]>): string;
