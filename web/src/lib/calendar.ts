/** Days and months on the calendar of the viewer's time zone. */

/** A day as 2026-11-21. */
export type Day = string;

const two = (value: number) => String(value).padStart(2, "0");

export function dayOf(at: Date): Day {
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** The first day of a month, `ahead` months after that of `day`. */
export function monthOf(day: Day, ahead = 0): Day {
  const [year = 0, month = 1] = day.split("-").map(Number);
  return dayOf(new Date(year, month - 1 + ahead, 1));
}

export function dateOf(day: Day): Date {
  const [year = 0, month = 1, date = 1] = day.split("-").map(Number);
  return new Date(year, month - 1, date);
}

/** Whole weeks that hold a month, each of seven days; `first` is the day a week begins with (0: Sunday). */
export function weeks(month: Day, first: number): Day[][] {
  const begin = dateOf(monthOf(month));
  const lead = (begin.getDay() - first + 7) % 7;
  const days = new Date(begin.getFullYear(), begin.getMonth() + 1, 0).getDate();
  return Array.from({ length: Math.ceil((lead + days) / 7) }, (_, week) =>
    Array.from({ length: 7 }, (_, day) =>
      dayOf(new Date(begin.getFullYear(), begin.getMonth(), 1 - lead + week * 7 + day)),
    ),
  );
}

/** The day that weeks begin with where the viewer lives (0: Sunday); Monday (ISO 8601) if the browser does not know. */
export function firstWeekday(locale: string): number {
  const { getWeekInfo, weekInfo } = new Intl.Locale(locale) as Intl.Locale & {
    getWeekInfo?: () => { firstDay: number };
    weekInfo?: { firstDay: number };
  };
  const info = getWeekInfo?.call(new Intl.Locale(locale)) ?? weekInfo;
  return (info?.firstDay ?? 1) % 7;
}
