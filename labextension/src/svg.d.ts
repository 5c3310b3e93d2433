/** The builder puts the text of an imported SVG in the place of the import. */
declare module '*.svg' {
  const text: string;
  export default text;
}
