import { Slot } from 'radix-ui'
import type { ComponentProps } from 'react'
import { cn } from '@/lib/cn'

const VARIANTS = {
  secondary: 'border-border bg-card text-foreground shadow-card hover:bg-muted',
  primary: 'border-foreground bg-foreground text-card shadow-card hover:opacity-90',
  danger: 'border-border bg-card text-state-failed shadow-card hover:bg-state-failed-tint',
  ghost: 'border-transparent text-secondary-foreground hover:bg-muted hover:text-foreground',
} as const

const SIZES = {
  medium: 'rounded-md px-3 py-[7px] text-body',
  small: 'rounded-[7px] px-2.5 py-1 text-small',
  icon: 'size-8 justify-center rounded-md',
} as const

type ButtonProps = ComponentProps<'button'> & {
  variant?: keyof typeof VARIANTS
  size?: keyof typeof SIZES
  /** Give the looks to the only child, usually a link. */
  asChild?: boolean
}

export function Button({
  variant = 'secondary',
  size = 'medium',
  asChild = false,
  className,
  type = 'button',
  ...props
}: ButtonProps) {
  const classes = cn(
    'inline-flex items-center gap-[7px] border font-medium whitespace-nowrap transition-[background-color,opacity] duration-120 disabled:cursor-not-allowed disabled:opacity-55',
    VARIANTS[variant],
    SIZES[size],
    className,
  )
  if (asChild) return <Slot.Root className={classes} {...props} />
  return <button type={type} className={classes} {...props} />
}
