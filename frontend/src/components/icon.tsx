import { cn } from '@/lib/cn'

/** Drawn on a 24 × 24 grid with strokes only. */
const PATHS = {
  dashboard: 'M3 3h8v8H3zM13 3h8v5h-8zM13 10h8v11h-8zM3 13h8v8H3z',
  pipelines:
    'M3 6a2 2 0 104 0 2 2 0 10-4 0M17 6a2 2 0 104 0 2 2 0 10-4 0M10 18a2 2 0 104 0 2 2 0 10-4 0M7 6h10M6 8l5 8M18 8l-5 8',
  executions: 'M7 4l12 8-12 8z',
  user: 'M8 8a4 4 0 108 0 4 4 0 10-8 0M4 21c1-5 4-7 8-7s7 2 8 7',
  settings:
    'M9 12a3 3 0 106 0 3 3 0 10-6 0M12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5',
  pause: 'M8 5v14M16 5v14',
  search: 'M5 11a6 6 0 1012 0 6 6 0 10-12 0M20 20l-4-4',
  plus: 'M12 5v14M5 12h14',
  minus: 'M5 12h14',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  down: 'M6 9l6 6 6-6',
  right: 'M9 6l6 6-6 6',
  close: 'M6 6l12 12M18 6L6 18',
  download: 'M12 4v11M7 11l5 5 5-5M4 20h16',
  sun: 'M8 12a4 4 0 108 0 4 4 0 10-8 0M12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2',
  moon: 'M20 14.5A8.5 8.5 0 019.5 4a8.5 8.5 0 1010.5 10.5z',
  system: 'M3 4h18v12H3zM9 20h6M12 16v4',
  leave: 'M14 4h6v16h-6M4 12h11M11 8l4 4-4 4',
  wrap: 'M4 6h16M4 12h13a3 3 0 010 6h-4m2-2l-2 2 2 2M4 18h5',
  fit: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  warning: 'M12 3l10 18H2zM12 10v5M12 18v.5',
  stop: 'M6 6h12v12H6z',
  spark: 'M12 3l2.2 6.3L20.5 12l-6.3 2.3L12 21l-2.2-6.7L3.5 12l6.3-2.7z',
  // The states.
  tick: 'M3 12a9 9 0 1018 0 9 9 0 10-18 0M8 12l3 3 5-6',
  cross: 'M8 3h8l5 5v8l-5 5H8l-5-5V8zM9 9l6 6M15 9l-6 6',
  ring: 'M21 12a9 9 0 11-6-8.5',
  clock: 'M3 12a9 9 0 1018 0 9 9 0 10-18 0M12 7v5l3 2',
  'clock-cross': 'M13.5 20.9A9 9 0 1120.9 13.5M12 7v5l2 1.5M16 16l5 5M21 16l-5 5',
  retry: 'M4 12a8 8 0 111 5M4 18v-5h5',
  skip: 'M5 6l6 6-6 6M13 6l6 6-6 6',
  slash: 'M3 12a9 9 0 1018 0 9 9 0 10-18 0M6 18L18 6',
  dots: 'M6 12h.01M12 12h.01M18 12h.01',
  bolt: 'M13 3L5 13h6l-1 8 8-11h-6z',
  hand: 'M8 12V6a1.5 1.5 0 013 0v5-7a1.5 1.5 0 013 0v7-5a1.5 1.5 0 013 0v8c0 4-2 7-6 7-3 0-4.5-1.5-6-4l-2-3.5a1.4 1.4 0 012.3-1.5L8 14',
} as const

export type IconName = keyof typeof PATHS

/** Always beside a word: hidden from assistive technology. */
export function Icon({ name, className }: { name: IconName; className?: string }) {
  return (
    <svg
      viewBox="0 0 24 24"
      aria-hidden="true"
      fill="none"
      stroke="currentColor"
      strokeWidth={1.7}
      strokeLinecap="round"
      strokeLinejoin="round"
      className={cn('size-4 shrink-0', className)}
    >
      <path d={PATHS[name]} />
    </svg>
  )
}

/** For drawing an icon inside another SVG. */
export function iconPath(name: IconName): string {
  return PATHS[name]
}
