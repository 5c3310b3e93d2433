/** The builder replaces the import of an SVG file with its text. */
declare module '*.svg' {
  const text: string;
  export default text;
}
