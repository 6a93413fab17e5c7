/**
 * A picture for a title, always the same one: sky, sun and hills in colours that the text decides.
 */
export function drawPhoto(title: string, author: string): string {
  let seed = 7;
  for (const letter of `${title}/${author}`) seed = (seed * 31 + letter.charCodeAt(0)) % 65_521;
  const next = (below: number): number => {
    seed = (seed * 75 + 74) % 65_537;
    return seed % below;
  };
  const hue = next(360);
  const sky = `hsl(${hue} 60% 78%)`;
  const sun = `<circle cx="${60 + next(200)}" cy="${30 + next(50)}" r="${14 + next(14)}" fill="hsl(${(hue + 180) % 360} 80% 85%)"/>`;
  const hills = [0, 1, 2].map((row) => {
    const points = [0, 80, 160, 240, 320].map((x) => `${x},${90 + row * 30 + next(40)}`);
    const fill = `hsl(${(hue + 40 * row) % 360} 35% ${55 - row * 13}%)`;
    return `<polygon points="0,200 ${points.join(' ')} 320,200" fill="${fill}"/>`;
  });
  return (
    '<svg xmlns="http://www.w3.org/2000/svg" width="320" height="200" viewBox="0 0 320 200">' +
    `<rect width="320" height="200" fill="${sky}"/>${sun}${hills.join('')}</svg>`
  );
}
