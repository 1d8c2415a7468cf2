// Where the page keeps what it knows of a user.

/** What is kept of a user has a key that begins so. */
export const keyOf = (user, what) => `fanloop ${JSON.stringify(user)} ${what}`;
